//! The environment as an argument, so that nothing but the entry point depends on the real one.

use std::ffi::OsString;
use std::fmt;

/// Looks up variables of an environment. A variable that is set to nothing counts as not set, as it does for
/// the command lines of Vault and OpenBao.
pub struct Environment(Box<Lookup>);

type Lookup = dyn Fn(&str) -> Option<OsString> + Send + Sync;

impl Environment {
    /// The environment of this process, read at each look-up.
    #[must_use]
    pub fn of_process() -> Self {
        Self::new(|name| std::env::var_os(name))
    }

    /// An environment without variables.
    #[must_use]
    pub fn empty() -> Self {
        Self::new(|_| None)
    }

    /// An environment that asks `lookup` for each variable.
    #[must_use]
    pub fn new(lookup: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static) -> Self {
        Self(Box::new(lookup))
    }

    /// Whether a variable is set to something.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        (self.0)(name).is_some_and(|value| !value.is_empty())
    }

    /// Whether a variable is set to this.
    #[must_use]
    pub fn is(&self, name: &str, value: &str) -> bool {
        (self.0)(name).is_some_and(|set| set == value)
    }

    /// The first of these variables that is set, and its value.
    ///
    /// # Errors
    /// The name of the variable, if its value is no UTF-8.
    pub(super) fn first(
        &self,
        names: &[&'static str],
    ) -> Result<Option<(&'static str, String)>, &'static str> {
        for name in names {
            match (self.0)(name) {
                Some(value) if !value.is_empty() => {
                    return value.into_string().map(|text| Some((*name, text))).map_err(|_| *name);
                }
                Some(_) | None => {}
            }
        }
        Ok(None)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Environment")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    #[test]
    fn the_first_variable_that_holds_something_is_taken() {
        let environment = Environment::new(|name| match name {
            "A" => Some("".into()),
            "B" => Some("b".into()),
            "C" => Some("c".into()),
            _ => None,
        });
        assert_eq!(environment.first(&["X", "A", "B", "C"]), Ok(Some(("B", "b".into()))));
        assert_eq!(environment.first(&["X", "A"]), Ok(None));
    }

    #[test]
    fn a_value_that_is_no_text_is_an_error_only_when_it_is_needed() {
        let environment = Environment::new(|name| match name {
            "A" => Some("a".into()),
            _ => Some(OsString::from_vec(vec![0xff])),
        });
        assert_eq!(environment.first(&["A", "B"]), Ok(Some(("A", "a".into()))));
        assert_eq!(environment.first(&["B", "A"]), Err("B"));
    }
}

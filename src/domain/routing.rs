//! Routing: which incidents a channel is told of.

use super::incident::{Incident, Severity};

/// What one channel is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The least severity.
    pub severity: Severity,
    /// The stores: those that one of these patterns matches.
    pub stores: Vec<StorePattern>,
}

impl Route {
    /// A route that takes everything.
    #[must_use]
    pub fn everything() -> Self {
        Self { severity: Severity::Warning, stores: vec![StorePattern::everything()] }
    }

    /// Whether an incident goes this way. What is about no single store, such as the source, concerns all of them:
    /// only its severity counts.
    #[must_use]
    pub fn takes(&self, incident: &Incident) -> bool {
        let takes_store = |store: &String| self.stores.iter().any(|pattern| pattern.matches(store));
        incident.severity >= self.severity && incident.store.as_ref().is_none_or(takes_store)
    }
}

/// A pattern of names of stores, in which `*` stands for any text, also for none. Upper and lower case differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorePattern(String);

impl StorePattern {
    /// The pattern `*`.
    #[must_use]
    pub fn everything() -> Self {
        Self("*".to_owned())
    }

    /// Reads a pattern; `None` when it is empty or has characters that no name of a store has.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'*');
        (!text.is_empty() && text.bytes().all(known)).then(|| Self(text.to_owned()))
    }

    /// Whether the pattern matches the whole of a name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let Some((start, rest)) = self.0.split_once('*') else {
            return self.0 == name;
        };
        let Some(mut name) = name.strip_prefix(start) else {
            return false;
        };
        let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
        // Each text between two stars is best found as early as it can be: that leaves the most for the others.
        for part in middle.split('*') {
            let Some((_, after)) = name.split_once(part) else {
                return false;
            };
            name = after;
        }
        name.ends_with(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::incident::{Cause, IncidentId};
    use crate::domain::time::Timestamp;

    fn incident(store: Option<&str>, cause: Cause) -> Incident {
        Incident {
            id: IncidentId::new(store, cause, Timestamp::default()),
            store: store.map(str::to_owned),
            cause,
            severity: cause.severity(),
            opened_at: Timestamp::default(),
            evidence: Vec::new(),
            remedy: String::new(),
            messages: 1,
            silenced_until: None,
            repeat_at: Timestamp::default(),
        }
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, expected) in [
            ("*", "acme", true),
            ("*", "", true),
            ("acme", "acme", true),
            ("acme", "Acme", false),
            ("acme", "acme-eu", false),
            ("acme*", "acme", true),
            ("acme*", "acme-eu", true),
            ("acme*", "my-acme", false),
            ("*-eu", "acme-eu", true),
            ("*-eu", "acme-eu-2", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "abbc", true),
            ("a*b*c", "acb", false),
            ("a*ab", "aab", true),
            ("a**b", "ab", true),
            ("*eu*", "acme-eu-2", true),
            ("*a*b*", "ba", false),
        ] {
            assert_eq!(StorePattern::parse(pattern).unwrap().matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_has_only_what_names_have_and_stars() {
        assert_eq!(StorePattern::parse(""), None);
        assert_eq!(StorePattern::parse("a?"), None);
        assert_eq!(StorePattern::parse("a b"), None);
        assert!(StorePattern::parse("A-z_0.9*").is_some());
    }

    #[test]
    fn an_incident_goes_where_its_severity_and_store_are_wanted() {
        let stores = vec![StorePattern::parse("acme*").unwrap(), StorePattern::parse("other").unwrap()];
        let route = Route { severity: Severity::Critical, stores };
        assert!(route.takes(&incident(Some("acme-eu"), Cause::RegeneratedOrRevoked)));
        assert!(route.takes(&incident(Some("other"), Cause::RegeneratedOrRevoked)));
        assert!(!route.takes(&incident(Some("third"), Cause::RegeneratedOrRevoked)));
        assert!(!route.takes(&incident(Some("acme-eu"), Cause::Moved)));
        assert!(Route::everything().takes(&incident(Some("third"), Cause::Moved)));
    }

    #[test]
    fn an_incident_of_the_source_or_of_the_fleet_concerns_every_store() {
        let stores = vec![StorePattern::parse("acme*").unwrap()];
        let route = Route { severity: Severity::Critical, stores };
        assert!(route.takes(&incident(None, Cause::SourceLoginRefused)));
        assert!(!route.takes(&incident(None, Cause::SourceUnavailable)));
        let fleet = incident(None, Cause::PlatformTrouble);
        assert_eq!((route.takes(&fleet), fleet.subject()), (fleet.severity == Severity::Critical, "stores"));
    }
}

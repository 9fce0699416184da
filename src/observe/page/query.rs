//! What a reader wants to see of the stores: the query of the page's address, as its form sends it.

use url::form_urlencoded::parse;

use crate::domain::snapshot::StoreState;

/// The longest text that is looked for, in letters.
const LONGEST: usize = 100;

/// In which order stores are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// The worst first, then by name.
    #[default]
    Worst,
    /// By name.
    Name,
    /// Those first that are in their state for the shortest time.
    Newest,
    /// Those first that were not checked for the longest time.
    Unchecked,
}

impl Order {
    pub(super) const ALL: [Self; 4] = [Self::Worst, Self::Name, Self::Newest, Self::Unchecked];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Worst => "worst",
            Self::Name => "name",
            Self::Newest => "newest",
            Self::Unchecked => "unchecked",
        }
    }

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Worst => "worst first",
            Self::Name => "by name",
            Self::Newest => "latest change first",
            Self::Unchecked => "longest unchecked first",
        }
    }
}

/// What a reader wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// A part of the name or of the secret's path; empty: all.
    pub(super) text: String,
    /// Stores in this state only.
    pub(super) state: Option<StoreState>,
    pub(super) order: Order,
}

impl Query {
    /// Reads it; what is not understood is passed over.
    pub(super) fn of(query: Option<&str>) -> Self {
        let mut wanted = Self::default();
        for (key, value) in parse(query.unwrap_or_default().as_bytes()) {
            match key.as_ref() {
                "q" => {
                    wanted.text = value.trim().chars().take(LONGEST).collect::<String>().to_lowercase();
                }
                "state" => wanted.state = StoreState::ALL.into_iter().find(|state| state.label() == value),
                "sort" => {
                    let order = Order::ALL.into_iter().find(|order| order.label() == value);
                    wanted.order = order.unwrap_or_default();
                }
                _ => {}
            }
        }
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let query = Query::of(Some("q=+A%26b+&state=rejected&sort=name&x=1"));
        let expected = Query { text: "a&b".into(), state: Some(StoreState::Rejected), order: Order::Name };
        assert_eq!(query, expected);
        assert_eq!(Query::of(None), Query::default());
        assert_eq!(Query::of(Some("state=wild&sort=&q=%ff&&==")).state, None);
        assert_eq!(Query::of(Some(&format!("q={}", "%C3%BC".repeat(200)))).text.chars().count(), LONGEST);
    }
}

//! What takes its time, as spans for `system::traces`; nobody makes them where the feature `otel` is off. No value of
//! a secret is in them.

use tracing::{Span, error_span};

use crate::domain::engine::Action;

/// One event, from the decision to the work that it sets off, which becomes part of it.
pub(super) fn pass() -> Span {
    error_span!(target: "traces", parent: None, "pass")
}

/// A piece of work.
pub(super) fn of(action: &Action) -> Span {
    match action {
        Action::LogIn => error_span!(target: "traces", "log in"),
        Action::Renew => error_span!(target: "traces", "renew"),
        Action::LookUp => error_span!(target: "traces", "look up"),
        Action::Inspect { store } => error_span!(target: "traces", "inspect", store = store.as_str()),
        Action::Read { store, .. } => error_span!(target: "traces", "read", store = store.as_str()),
        Action::List { folder, .. } => error_span!(target: "traces", "list", %folder),
        Action::Probe { store, .. } => error_span!(target: "traces", "check", store = store.as_str()),
        Action::Publish { store, .. } => error_span!(target: "traces", "publish", store = store.as_str()),
        Action::Withdraw { store } => error_span!(target: "traces", "withdraw", store = store.as_str()),
        Action::Reload { store, .. } => error_span!(target: "traces", "reload", store = store.as_str()),
        Action::Remember { .. }
        | Action::Restock { .. }
        | Action::Notify(_)
        | Action::Keep(_)
        | Action::Say(_)
        | Action::Reply(_) => Span::none(),
    }
}

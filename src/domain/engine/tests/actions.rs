//! What kinds of actions there are.

use crate::domain::engine::Action;

pub(super) fn kind(action: &Action) -> &'static str {
    match action {
        Action::LogIn => "log in",
        Action::Renew => "renew",
        Action::LookUp => "look up",
        Action::Inspect { .. } => "inspect",
        Action::Read { .. } => "read",
        Action::List { .. } => "list",
        Action::Restock { .. } => "restock",
        Action::Probe { .. } => "probe",
        Action::Publish { .. } => "publish",
        Action::Withdraw { .. } => "withdraw",
        Action::Reload { .. } => "reload",
        Action::Remember { .. } => "remember",
        Action::Notify(_) => "notify",
        Action::Keep(_) => "keep",
        Action::Reply(_) => "reply",
        Action::Say(_) => "say",
    }
}

//! Credentials that another set has taken the place of, and that still work.

use super::super::store::Store;
use super::super::{Condition, Context};
use super::{holds, words};
use crate::domain::verdict::VerdictKind;

pub(super) fn live(store: &Store, cx: &Context<'_>) -> Condition {
    let (Some(old), Some(good)) = (&store.superseded, &store.good) else { return Condition::Clear };
    if !old.streak.is(VerdictKind::Accepted, cx.settings.confirmations) {
        return Condition::Unknown;
    }
    // Versions of two secrets may have one number.
    let numbered = |name: &str, generation: u64| {
        if old.name == good.stamp.name() {
            format!("{name} (generation {generation})")
        } else {
            name.to_owned()
        }
    };
    let new_name = numbered(&good.stamp.name(), good.stamp.generation);
    let old_name = numbered(&old.name, old.generation);
    let (new_host, old_host) = (good.credentials.api_path().host(), old.host());
    let (moved, shared) = (new_host != old_host, store.shares_its_account(cx));
    let who = if moved { format!("Its host, {old_host},") } else { "The store".to_owned() };
    let mut evidence = vec![
        format!("{} has been published since {}.", words::capital(&new_name), old.since.wall),
        format!("{who} still accepts the credentials of {old_name}, last at {}.", old.streak.latest.wall),
    ];
    if moved {
        evidence.push(format!("{} is for another host, {new_host}.", words::capital(&new_name)));
    }
    if shared {
        evidence.push(format!(
            "Another store publishes the same account as {new_name}: it may have been written to the wrong secret."
        ));
    }
    let delete = "If nobody needs the old account any more, delete it in the store's admin, under Advanced Settings > \
                  Legacy API Settings: whoever has its token can still use it.";
    let remedy = if moved || shared {
        format!(
            "First see whether {new_name} is meant for this store. If it is not, delete nothing, and write the \
             credentials of {old_name} again into {}: apps of this store use another account until then. If it is: {delete}",
            words::where_to_write(store)
        )
    } else {
        delete.to_owned()
    };
    holds(evidence, remedy)
}

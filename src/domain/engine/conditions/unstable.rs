//! Whether the published files do not stay as they were published, time after time.

use super::{Condition, Context, Store, holds};
use crate::domain::engine::store::AT_ONCE;

pub(super) fn unstable(store: &Store, cx: &Context<'_>) -> Condition {
    if cx.now.instant >= store.left_alone_at(cx) {
        let whole = store.is_up_to_date() || store.is_withdrawn();
        return if whole { Condition::Clear } else { Condition::Unknown };
    }
    let contest = &store.contest;
    let (Some(first), Some(latest)) = (contest.first, contest.latest) else { return Condition::Unknown };
    if contest.restorations <= AT_ONCE {
        return Condition::Unknown;
    }
    holds(
        vec![
            format!(
                "The published files were changed and restored {} times from {} to {}.",
                contest.restorations, first.wall, latest.wall
            ),
            format!("What was found last: {}.", contest.damage),
        ],
        "Something changes these files after each publication: see who else may write to the volume, such as an init \
         script that sets modes or owners, configuration management, a tool that synchronises directories, an app, or \
         another daemon with the same output.directory, and whether the volume is sound; mount the volume read-only where it is only read. They are \
         restored again and again, ever more slowly, at least every minute; until then apps find what was found here. \
         It is over when they have been left alone for 10 minutes, or for two poll_intervals."
            .into(),
    )
}

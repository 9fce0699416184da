//! What happens while something else is under way.

use super::world::{MINUTE, World};
use crate::domain::publication::OnDisk;

#[test]
fn nothing_is_written_where_somebody_looks_at_the_disk() {
    let mut world = World::new(&["acme"]);
    world.pass(10 * MINUTE);
    world.write("acme", "user", "token-2");
    world.accept("acme", "user", "token-2");
    world.slow = vec!["inspect"];
    world.pass(2 * MINUTE);
    assert_eq!((world.kept_back.len(), world.calls("publish")), (1, 1));
    world.release();
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
    world.slow = vec!["publish"];
    world.disks.insert("acme".into(), OnDisk::Damaged("api_token was edited".into()));
    world.pass(MINUTE);
    let looks = world.calls("inspect");
    world.pass(5 * MINUTE);
    assert_eq!((world.kept_back.len(), world.calls("inspect")), (1, looks));
}

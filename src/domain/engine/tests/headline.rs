//! The line for a service manager.

use super::world::{MINUTE, SECOND, World};
use crate::domain::source::SourceFault;

#[test]
fn the_line_names_the_stores_that_are_waited_for() {
    let mut world = World::new(&["a", "b", "c", "d", "e"]);
    for store in ["a", "b", "c", "d"] {
        world.secrets.remove(store);
    }
    world.pass(SECOND);
    let line = world.engine.headline();
    assert!(line.starts_with("1 of 5 stores published (waiting for a, b, c and 1 more), "), "{line}");
    world.write("a", "user", "token-2");
    world.accept("a", "user", "token-2");
    world.pass(MINUTE);
    let line = world.engine.headline();
    assert!(line.starts_with("2 of 5 stores published (waiting for b, c, d), "), "{line}");
    for store in ["b", "c", "d"] {
        world.write(store, "user", "token-2");
        world.accept(store, "user", "token-2");
    }
    world.pass(MINUTE);
    world.pass(MINUTE);
    assert_eq!(world.engine.headline(), "5 of 5 stores published, 0 incidents open");
}

#[test]
fn the_line_tells_a_log_in_that_fails_from_a_vault_that_does_not_serve() {
    let mut world = World::new(&["acme"]);
    assert_eq!(
        world.engine.headline(),
        "0 of 1 stores published (waiting for acme), 0 incidents open; logging in to Vault"
    );
    world.log_in = Err(SourceFault::LoginRefused { status: 400, message: "invalid secret ID".into() });
    world.pass(SECOND);
    let line = world.engine.headline();
    assert!(line.ends_with("; the log-in to Vault fails"), "{line}");
    world.log_in = Err(SourceFault::Sealed);
    world.pass(MINUTE);
    let line = world.engine.headline();
    assert!(line.ends_with("; Vault is not available"), "{line}");
}

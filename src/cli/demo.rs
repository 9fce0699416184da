//! `demo`: the life of a token, told as it happens.

use clap::Args;

use super::Exit;

#[derive(Args, Debug)]
pub(super) struct Demo {}

impl Demo {
    pub(super) fn main(self) -> Exit {
        Exit::Internal
    }
}

//! `sandbox`: serves the simulated store alone, for measurements.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;

use crate::sandbox::authority::Authority;
use crate::sandbox::store::SimulatedBigCommerce;
use crate::system::signals::Signals;

use super::output::{complain, print};
use super::{Exit, runtime};

#[derive(Args, Debug)]
pub(super) struct Sandbox {
    /// How many stores there are: store-0000, store-0001, ...; account `measure`, token `token-` and the name
    #[arg(long, default_value_t = 1)]
    stores: u32,
    /// Where the certificate of the simulation's authority is written
    #[arg(long, value_name = "FILE")]
    ca_file: PathBuf,
    /// A further name in the server's certificate, such as `*.stores.test`; may be repeated
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
}

impl Sandbox {
    pub(super) fn main(self) -> Exit {
        let served = runtime(4).map_err(Into::into).and_then(|runtime| runtime.block_on(self.serve()));
        match served {
            Ok(()) => Exit::Good,
            Err(error) => {
                complain(error.as_ref());
                Exit::Internal
            }
        }
    }

    async fn serve(self) -> Result<(), Box<dyn std::error::Error>> {
        let authority = Authority::new()?;
        std::fs::write(&self.ca_file, authority.ca_pem())?;
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let store = SimulatedBigCommerce::start_as(&names, listen, &authority).await?;
        for at in 0..self.stores {
            let name = format!("store-{at:04}");
            store.set_account(&name, "measure", &format!("token-{name}"));
        }
        print(&format!("{}\n", store.address()))?;
        let mut signals = Signals::listen()?;
        let _stop = signals.next().await;
        Ok(())
    }
}

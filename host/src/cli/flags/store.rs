//! The flags about the store.

use std::path::PathBuf;

use crate::cli::parse;
use crate::store::{StorePlace, StoreSync};

const STORE: &str = "Store";

/// See the module's documentation.
#[derive(Debug, clap::Args)]
pub(super) struct StoreFlags {
    /// Keep the store in this file, which is made if it is not there, or in a bucket of NATS JetStream: nats://HOST/BUCKET, or tls://… [default: in memory only]
    #[arg(long, value_name = "FILE|URL", value_parser = parse::store, help_heading = STORE)]
    store: Option<StorePlace>,

    /// File with the login for the store's NATS: its credentials (.creds), or one line USER:PASSWORD or TOKEN [default: as in --store]
    #[arg(long, value_name = "FILE", requires = "store", help_heading = STORE, hide_short_help = true)]
    store_credentials: Option<PathBuf>,

    /// File with the certificates (PEM) that those of the store's NATS servers are signed with [default: the system's]
    #[arg(long, value_name = "FILE", requires = "store", help_heading = STORE, hide_short_help = true)]
    store_ca: Option<PathBuf>,

    /// When a change of the store is in its file: always (before the guest goes on), or 1s (a second later at the latest)
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = StoreSync::default(), requires = "store", help_heading = STORE)]
    store_sync: StoreSync,
}

impl StoreFlags {
    /// Where the store is; `None` if it is in memory only.
    pub(super) fn place(self) -> Option<StorePlace> {
        self.store.map(|mut place| {
            match &mut place {
                StorePlace::File(file) => file.sync = self.store_sync,
                StorePlace::Nats(place) => {
                    place.server.credentials = self.store_credentials;
                    place.server.ca = self.store_ca;
                }
            }
            place
        })
    }
}

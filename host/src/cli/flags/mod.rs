//! The flags of a server: those that `serve` and `dev` share, a group in each file.
//!
//! Defaults come from [`Limits`](crate::limits::Limits), [`SocketOptions`] and
//! [`Rules`](crate::registry::Rules); what is out of range is found by
//! [`Options::validate`]. Parsers only reject what can't be read.
//!
//! [`SocketOptions`]: crate::listener::SocketOptions

mod admin;
mod compile;
mod connections;
mod grants;
mod limits;
mod listener;
mod output;
mod store;
mod swapping;
mod taps;
mod tls;
mod topics;

use std::net::{Ipv4Addr, SocketAddr};

use hotsocket_sandbox::CodeCacheDir;
use tracing::level_filters::LevelFilter;

pub(super) use compile::CompileFlags;
pub(super) use grants::settings;
pub(super) use limits::LIMITS;

use super::parse;
use crate::limits::LimitError;
use crate::listener::tls::TlsError;
use crate::listener::{ListenAddress, ListenerOptions};
use crate::log::Format;
use crate::node::{Control, Guest, Options, Place, ServiceListener, ServiceOptions};
use crate::output::GuestLines;
use admin::AdminFlags;
use connections::ConnectionFlags;
use grants::GrantFlags;
use limits::LimitFlags;
use listener::ListenerFlags;
use output::OutputFlags;
use store::StoreFlags;
use swapping::SwappingFlags;
use taps::TapFlags;
use tls::TlsFlags;
use topics::TopicsFlags;

/// How a server is configured, whatever it serves.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// Listen on this address; may be given several times. Port 0 takes a free port, *:PORT is
    /// every address, unix:PATH[,mode=660] a Unix socket, unix:@NAME one without a file. Without
    /// it, on the port that the guest names [default: 127.0.0.1:3000]
    #[arg(long, short, value_name = "ADDR", value_parser = parse::address)]
    listen: Vec<ListenAddress>,

    /// Listen on this port of 127.0.0.1, as --listen PORT does; may be given several times
    #[arg(long, short, value_name = "PORT")]
    port: Vec<u16>,

    #[command(flatten)]
    listener: ListenerFlags,

    #[command(flatten)]
    tls: TlsFlags,

    /// Path of the control socket [default: in the user's runtime directory]
    #[arg(long, value_name = "PATH|none", value_parser = parse::control)]
    control: Option<Control>,

    #[command(flatten)]
    admin: AdminFlags,

    #[command(flatten)]
    taps: TapFlags,

    #[command(flatten)]
    topics: TopicsFlags,

    /// Directory for compiled code [default: in the user's cache directory]
    #[arg(long, value_name = "DIR|none", value_parser = parse::code_cache)]
    code_cache: Option<CodeCacheDir>,

    #[command(flatten)]
    swapping: SwappingFlags,

    #[command(flatten)]
    limits: LimitFlags,

    #[command(flatten)]
    compile: CompileFlags,

    #[command(flatten)]
    connections: ConnectionFlags,

    #[command(flatten)]
    grants: GrantFlags,

    #[command(flatten)]
    store: StoreFlags,

    #[command(flatten)]
    output: OutputFlags,
}

/// Flags that each can be read, and together mean nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum WrongFlags {
    #[error(transparent)]
    Limit(#[from] LimitError),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// What a process that serves is started with.
pub(super) struct Config {
    pub(super) guest_lines: GuestLines,
    pub(super) options: Options,
    pub(super) log_format: Format,
    pub(super) log_level: LevelFilter,
}

impl Flags {
    /// The configuration that they stand for. Its guest is still to be named.
    ///
    /// # Errors
    /// When a value is out of its range, or something is missing.
    pub(super) fn config(self) -> Result<Config, WrongFlags> {
        let limits = limits::limits(
            &self.limits,
            &self.compile,
            &self.connections,
            self.tls.max_handshakes,
        );
        let ports = self.port.into_iter();
        let ports = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into());
        let sockets = self.connections.sockets();
        let mut places: Vec<_> = self
            .listen
            .into_iter()
            .chain(ports)
            .map(Place::At)
            .collect();
        if places.is_empty() {
            places.push(Place::OfGuest);
        }
        let layers = ListenerOptions {
            tls_mode: self.tls.tls_mode,
            tls: self.tls.options()?,
            ..self.listener.options()
        };
        let listeners = places.into_iter().map(|place| ServiceListener {
            name: String::new(),
            place,
            sockets,
            layers: layers.clone(),
        });
        let (grants, settings) = self.grants.grants()?;
        let service = ServiceOptions {
            name: String::new(),
            guest: Guest::BuiltIn,
            listeners: listeners.collect(),
            limits,
            grants,
            settings,
            store: self.store.place(),
            watch: false,
            access_log: self.output.access_log,
            topics: self.topics.options(),
            rules: self.swapping.rules(),
        };
        service.validate()?;
        let taps = self.taps.limits();
        taps.validate()?;
        let options = Options {
            services: vec![service],
            control: self.control.unwrap_or(Control::Default),
            admin: self.admin.options()?,
            taps,
            code_cache: self.code_cache.unwrap_or_default(),
            compiler: self.compile.compiler(),
        };
        Ok(Config {
            options,
            guest_lines: self.output.guest_lines(),
            log_format: self.output.log_format,
            log_level: self.output.log_level(),
        })
    }
}

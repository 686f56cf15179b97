//! The flags of a server: those that `serve` and `dev` share.
//!
//! Defaults come from [`Limits`], [`SocketOptions`] and [`Rules`]; what is out
//! of range is found by [`Options::validate`]. Parsers only reject what can't
//! be read.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use hotsocket_sandbox::{CodeCacheDir, Grants, MAX_SETTINGS, Settings};
use tracing::level_filters::LevelFilter;

use super::compile::CompileFlags;
use super::listener_flags::ListenerFlags;
use super::parse::{self, After};
use super::tap_flags::TapFlags;
use super::tls_flags::TlsFlags;
use crate::admin::{AdminLimits, AdminOptions};
use crate::limits::{LimitError, Limits, OnTrap, WhenFull};
use crate::listener::tls::TlsError;
use crate::listener::{ListenAddress, ListenerOptions, SocketOptions};
use crate::log::Format;
use crate::nats::NatsOptions;
use crate::node::{Control, Guest, Options, Place, ServiceListener, ServiceOptions};
use crate::output::GuestLines;
use crate::registry::Rules;
use crate::rollout::Policy;
use crate::store::{StorePlace, StoreSync};
use crate::{duration, size};

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

    /// Serve the inspector, metrics, health and status over HTTP: 127.0.0.1:9300, unix:PATH or another form that --listen takes [default: none]
    #[arg(long, value_name = "ADDR", value_parser = parse::address, help_heading = ADMIN)]
    admin: Option<ListenAddress>,

    /// Name besides localhost under which the admin address is reached; may be given several times
    #[arg(long, value_name = "NAME", requires = "admin", help_heading = ADMIN, hide_short_help = true)]
    admin_host: Vec<String>,

    /// File with the token of the admin address, on one line of at least 16 characters; see `hotsocket open` [default: a random token]
    #[arg(long, value_name = "FILE", requires = "admin", help_heading = ADMIN)]
    admin_token_file: Option<PathBuf>,

    /// Time that a client of the admin address has for the head of a request
    #[arg(long, value_name = "TIME", default_value = duration::show(AdminLimits::default().timeout), value_parser = duration::parse, requires = "admin", help_heading = ADMIN, hide_short_help = true)]
    admin_timeout: Duration,

    /// Time that a connection to the admin address may last
    #[arg(long, value_name = "TIME", default_value = duration::show(AdminLimits::default().lifetime), value_parser = duration::parse, requires = "admin", help_heading = ADMIN, hide_short_help = true)]
    admin_lifetime: Duration,

    /// Clients of the admin address at once
    #[arg(long, value_name = "N", default_value_t = AdminLimits::default().clients, requires = "admin", help_heading = ADMIN, hide_short_help = true)]
    admin_clients: usize,

    #[command(flatten)]
    taps: TapFlags,

    /// NATS servers over which connections of several nodes meet: nats://HOST or nats://HOST:PORT, or tls://…, joined by commas [default: none]
    #[arg(long, value_name = "URL", value_parser = parse::topics, help_heading = TOPICS)]
    topics: Option<NatsOptions>,

    /// File with the login for NATS: its credentials (.creds), or one line USER:PASSWORD or TOKEN [default: as in --topics]
    #[arg(long, value_name = "FILE", requires = "topics", help_heading = TOPICS, hide_short_help = true)]
    topics_credentials: Option<PathBuf>,

    /// File with the certificates (PEM) that those of the NATS servers are signed with [default: the system's]
    #[arg(long, value_name = "FILE", requires = "topics", help_heading = TOPICS, hide_short_help = true)]
    topics_ca: Option<PathBuf>,

    /// What the subjects in NATS begin with; servers with the same meet
    #[arg(long, value_name = "PREFIX", requires = "topics", default_value = NatsOptions::PREFIX, help_heading = TOPICS, hide_short_help = true)]
    topics_prefix: String,

    /// Directory for compiled code [default: in the user's cache directory]
    #[arg(long, value_name = "DIR|none", value_parser = parse::code_cache)]
    code_cache: Option<CodeCacheDir>,

    /// What a swap does with open connections: migrate, drain[=TIME], close or new-only
    #[arg(long, value_name = "POLICY", default_value_t = Rules::default().policy, help_heading = SWAPPING)]
    on_swap: Policy,

    /// Undo a swap when N of the first M migrating connections fail: N/M, or never
    #[arg(long, value_name = "N/M", default_value_t = After(Rules::default().rollback_after), value_parser = parse::rollback_after, help_heading = SWAPPING)]
    rollback_after: After,

    /// Generations kept compiled besides the active one, to roll back to
    #[arg(long, value_name = "N", default_value_t = Rules::default().keep, help_heading = SWAPPING)]
    keep: usize,

    /// What happens to a connection whose instance has trapped
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Limits::default().on_trap, help_heading = TRAPS, hide_short_help = true)]
    on_trap: OnTrap,

    /// With --on-trap restart: take a snapshot after every N events
    #[arg(long, value_name = "N", default_value_t = Limits::default().snapshot_every, help_heading = TRAPS, hide_short_help = true)]
    snapshot_every: u32,

    /// With --on-trap restart: restarts of one connection within ten seconds
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_restarts, help_heading = TRAPS, hide_short_help = true)]
    max_restarts: usize,

    /// Open connections
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_connections, help_heading = LIMITS, hide_short_help = true)]
    max_connections: usize,

    /// What happens to connections beyond --max-connections
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Limits::default().when_full, help_heading = LIMITS, hide_short_help = true)]
    when_full: WhenFull,

    /// Open connections from one IP address [default: none]
    #[arg(long, value_name = "N", help_heading = LIMITS, hide_short_help = true)]
    max_per_peer: Option<usize>,

    /// Memory of one instance
    #[arg(long, value_name = "SIZE", default_value = size::show(Limits::default().max_memory), value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    max_memory: usize,

    /// Table elements of one instance
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_table, help_heading = LIMITS, hide_short_help = true)]
    max_table: usize,

    /// Stack of one instance
    #[arg(long, value_name = "SIZE", default_value = size::show(Limits::default().max_stack), value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    max_stack: usize,

    /// CPU time of one event
    #[arg(long, value_name = "TIME", default_value = duration::show(Limits::default().cpu_budget), value_parser = duration::parse, help_heading = LIMITS, hide_short_help = true)]
    cpu_budget: Duration,

    /// CPU time of `open` and `listening` instead of --cpu-budget, for scripts whose modules run in each instance [default: none]
    #[arg(long, value_name = "TIME", value_parser = duration::parse, help_heading = LIMITS, hide_short_help = true)]
    start_budget: Option<Duration>,

    /// Wall-clock time of one event, for guests that wait in WASI
    #[arg(long, value_name = "TIME", default_value = duration::show(Limits::default().event_timeout), value_parser = duration::parse, help_heading = LIMITS, hide_short_help = true)]
    event_timeout: Duration,

    /// Bytes queued for one peer
    #[arg(long, value_name = "SIZE", default_value = size::show(Limits::default().max_queue), value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    max_queue: usize,

    /// Size of one connection's snapshot
    #[arg(long, value_name = "SIZE", default_value = size::show(Limits::default().max_snapshot), value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    max_snapshot: usize,

    /// Timers of one connection
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_timers, help_heading = LIMITS, hide_short_help = true)]
    max_timers: usize,

    /// Topics and patterns that one connection may have subscribed to
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_subscriptions, help_heading = LIMITS, hide_short_help = true)]
    max_subscriptions: usize,

    /// Messages that may wait for one connection
    #[arg(long, value_name = "SIZE", default_value = size::show(Limits::default().max_mailbox), value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    max_mailbox: usize,

    /// What one connection may publish in a second, in bytes times receivers
    #[arg(long, value_name = "SIZE", default_value = size::show(Limits::default().max_fan_out), value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    max_fan_out: usize,

    /// Keys and values of the store, all together
    #[arg(long, value_name = "SIZE", default_value = size::show(Limits::default().max_store_size), value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    max_store_size: usize,

    /// Keys of the store
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_store_keys, help_heading = LIMITS, hide_short_help = true)]
    max_store_keys: usize,

    /// Length of a line that a guest prints; the rest is cut
    #[arg(long, value_name = "SIZE", default_value = size::show(Limits::default().max_line), value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    max_line: usize,

    /// Lines per second that the guest of one connection prints; more are dropped
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_lines, help_heading = LIMITS, hide_short_help = true)]
    max_lines: u32,

    /// Size of a component
    #[arg(long, value_name = "SIZE", default_value = size::show(Limits::default().max_component), value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    max_component: usize,

    #[command(flatten)]
    compile: CompileFlags,

    /// Time that the handshake of a connection may take, before an instance is made or when the guest
    /// begins TLS
    #[arg(long, value_name = "TIME", default_value = duration::show(Limits::default().handshake_timeout), value_parser = duration::parse, help_heading = CONNECTIONS, hide_short_help = true)]
    handshake_timeout: Duration,

    /// Reset a connection whose peer reads nothing for this long
    #[arg(long, value_name = "TIME", default_value = duration::show(Limits::default().write_timeout), value_parser = duration::parse, help_heading = CONNECTIONS, hide_short_help = true)]
    write_timeout: Duration,

    /// Close a connection that is silent in both directions for this long [default: none]
    #[arg(long, value_name = "TIME", value_parser = duration::parse, help_heading = CONNECTIONS, hide_short_help = true)]
    idle_timeout: Option<Duration>,

    /// Save and drop the instance of a connection that is idle for this long, until its next event [default: none]
    #[arg(long, value_name = "TIME", value_parser = duration::parse, help_heading = CONNECTIONS, hide_short_help = true)]
    hibernate_after: Option<Duration>,

    /// Time that a shutdown waits for queued bytes to be sent
    #[arg(long, value_name = "TIME", default_value = duration::show(Limits::default().grace), value_parser = duration::parse, help_heading = CONNECTIONS, hide_short_help = true)]
    grace: Duration,

    /// Time to read on after closing a connection, so that its last reply is not lost
    #[arg(long, value_name = "TIME", default_value = duration::show(Limits::default().linger), value_parser = duration::parse, help_heading = CONNECTIONS, hide_short_help = true)]
    linger: Duration,

    /// Reset a connection whose peer is silent for this long after the guest has ended its side
    #[arg(long, value_name = "TIME", default_value = duration::show(Limits::default().half_close_timeout), value_parser = duration::parse, help_heading = CONNECTIONS, hide_short_help = true)]
    half_close_timeout: Duration,

    /// TCP keepalive: idle time before the first probe
    #[arg(long, value_name = "TIME", default_value = duration::show(SocketOptions::default().keepalive), value_parser = duration::parse, help_heading = CONNECTIONS, hide_short_help = true)]
    keepalive: Duration,

    /// Enable Nagle's algorithm: gather small writes instead of sending each at once
    #[arg(long, help_heading = CONNECTIONS, hide_short_help = true)]
    nagle: bool,

    /// Grant a directory, as HOST or HOST::GUEST; may be given several times
    #[arg(long, value_name = "DIR", value_parser = parse::directory, help_heading = GRANTS, hide_short_help = true)]
    dir: Vec<(PathBuf, String)>,

    /// Grant an environment variable, as NAME or NAME=VALUE; may be given several times
    #[arg(long, value_name = "VAR", value_parser = parse::variable, help_heading = GRANTS, hide_short_help = true)]
    env: Vec<(String, String)>,

    /// Grant the network: guests may open sockets of their own
    #[arg(long, help_heading = GRANTS, hide_short_help = true)]
    allow_net: bool,

    /// Give guests a setting, as NAME=VALUE, or as NAME with the value of that environment variable; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse::setting, help_heading = SETTINGS)]
    set: Vec<(String, String)>,

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

    /// Format of the log; json makes a JSON object of each line of a guest, too
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::default(), help_heading = OUTPUT)]
    log_format: Format,

    /// Level of the host's log, and of what guests log with a level: error, warn, info, debug, trace or off
    #[arg(long, value_name = "LEVEL", default_value_t = LevelFilter::INFO, help_heading = OUTPUT)]
    log_level: LevelFilter,

    /// Log more, as --log-level debug does; -vv: as trace does
    #[arg(short, long, action = clap::ArgAction::Count, conflicts_with = "log_level", help_heading = OUTPUT)]
    verbose: u8,

    /// Log warnings and errors only, as --log-level warn does
    #[arg(short, long, conflicts_with_all = ["log_level", "verbose"], help_heading = OUTPUT)]
    quiet: bool,

    /// Log a line for each connection when it is closed, at level info
    #[arg(long, help_heading = OUTPUT)]
    access_log: bool,

    /// Prefix each line of a guest with the id of its connection (text format)
    #[arg(long, help_heading = OUTPUT)]
    label: bool,
}

const ADMIN: &str = "Admin address";
const TOPICS: &str = "Topics over several nodes";
const SWAPPING: &str = "Swapping";
const TRAPS: &str = "Traps";
pub(super) const LIMITS: &str =
    "Limits (SIZE in bytes, or 512K, 64M, 1G; TIME as 500ms, 30s, 5m, 1h)";
const CONNECTIONS: &str = "Connections";
const GRANTS: &str = "Grants to guests (none by default)";
const STORE: &str = "Store";
const SETTINGS: &str = "Settings of guests";
const OUTPUT: &str = "Output";

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
        let limits = Limits {
            max_memory: self.max_memory,
            max_table: self.max_table,
            max_stack: self.max_stack,
            max_timers: self.max_timers,
            max_subscriptions: self.max_subscriptions,
            max_mailbox: self.max_mailbox,
            max_fan_out: self.max_fan_out,
            max_store_size: self.max_store_size,
            max_store_keys: self.max_store_keys,
            max_line: self.max_line,
            max_lines: self.max_lines,
            compile_timeout: self.compile.compile_timeout,
            compile_memory: self.compile.compile_memory,
            when_full: self.when_full,
            max_per_peer: self.max_per_peer,
            cpu_budget: self.cpu_budget,
            start_budget: self.start_budget,
            event_timeout: self.event_timeout,
            max_queue: self.max_queue,
            max_snapshot: self.max_snapshot,
            max_component: self.max_component,
            max_connections: self.max_connections,
            handshake_timeout: self.handshake_timeout,
            max_handshakes: self.tls.max_handshakes,
            write_timeout: self.write_timeout,
            idle_timeout: self.idle_timeout,
            hibernate_after: self.hibernate_after,
            grace: self.grace,
            linger: self.linger,
            half_close_timeout: self.half_close_timeout,
            on_trap: self.on_trap,
            snapshot_every: self.snapshot_every,
            max_restarts: self.max_restarts,
        };
        let ports = self.port.into_iter();
        let ports = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into());
        let sockets = SocketOptions {
            keepalive: self.keepalive,
            user_timeout: self.write_timeout,
            nodelay: !self.nagle,
        };
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
        let log_level = match (self.quiet, self.verbose) {
            (true, _) => LevelFilter::WARN,
            (false, 0) => self.log_level,
            (false, 1) => LevelFilter::DEBUG,
            (false, _) => LevelFilter::TRACE,
        };
        let service = ServiceOptions {
            name: String::new(),
            guest: Guest::BuiltIn,
            listeners: listeners.collect(),
            limits,
            grants: Grants {
                dirs: self.dir,
                env: self.env,
                net: self.allow_net,
            },
            settings: settings(self.set)?,
            store: self.store.map(|mut place| {
                match &mut place {
                    StorePlace::File(file) => file.sync = self.store_sync,
                    StorePlace::Nats(place) => {
                        place.server.credentials = self.store_credentials;
                        place.server.ca = self.store_ca;
                    }
                }
                place
            }),
            watch: false,
            access_log: self.access_log,
            topics: self.topics.map(|mut topics| {
                topics.credentials = self.topics_credentials;
                topics.ca = self.topics_ca;
                topics.prefix = self.topics_prefix;
                topics
            }),
            rules: Rules {
                policy: self.on_swap,
                rollback_after: self.rollback_after.0,
                keep: self.keep,
            },
        };
        service.validate()?;
        let limits = AdminLimits {
            timeout: self.admin_timeout,
            lifetime: self.admin_lifetime,
            clients: self.admin_clients,
        };
        limits.validate()?;
        let admin = self.admin.map(|listen| AdminOptions {
            listen,
            hosts: self.admin_host,
            token_file: self.admin_token_file,
            limits,
        });
        let taps = self.taps.limits();
        taps.validate()?;
        let options = Options {
            services: vec![service],
            control: self.control.unwrap_or(Control::Default),
            admin,
            taps,
            code_cache: self.code_cache.unwrap_or_default(),
            compiler: self.compile.compiler(),
        };
        let guest_lines = match (self.log_format, self.label) {
            (Format::Json, _) => GuestLines::Json,
            (Format::Text, true) => GuestLines::Labelled,
            (Format::Text, false) => GuestLines::Plain,
        };
        Ok(Config {
            options,
            guest_lines,
            log_format: self.log_format,
            log_level,
        })
    }
}

/// The settings that `--set` stands for; of one that is given twice, the last.
///
/// # Errors
/// When there are too many.
pub(super) fn settings(given: Vec<(String, String)>) -> Result<Settings, LimitError> {
    let count = given.len();
    let mut settings = Settings::default();
    for (name, value) in given {
        settings.set(name, value).map_err(|_| LimitError {
            flag: "set",
            value: format!("({count} times)"),
            expected: format!("given for at most {MAX_SETTINGS} names"),
        })?;
    }
    Ok(settings)
}

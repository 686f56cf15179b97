//! Write the connection logic of a hotsocket server: a TCP handler as a
//! WebAssembly component.
//!
//! hotsocket owns the sockets and gives each connection its own sandboxed
//! instance of your code. This is a complete guest, which sends back what it
//! gets:
//!
//! ```
//! use hotsocket_guest::{Connection, Handler, export};
//!
//! #[derive(Default)]
//! struct Echo;
//!
//! impl Handler for Echo {
//!     fn data(&mut self, conn: &Connection, bytes: &[u8]) {
//!         conn.write(bytes);
//!     }
//! }
//!
//! export!(Echo);
//! ```
//!
//! Saved as `echo.rs` it is built and served by `hotsocket build echo.rs` and
//! `hotsocket serve echo.wasm`; no package is needed around it. In a package of
//! your own, make the library a `cdylib` and run `hotsocket build` there.
//!
//! # State that survives a swap
//! The code can be replaced while connections are open. What the new code must
//! know of each is what the old code's [`Handler::save`] gave;
//! [`Handler::restore`] takes it, and [`Snapshot::upgrade`] reads what older
//! versions wrote. This guest counts lines, and goes on counting:
//!
//! ```
//! use hotsocket_guest::{Connection, Handler, Snapshot, export, println};
//!
//! #[derive(Default)]
//! struct Count(u64);
//!
//! impl Handler for Count {
//!     fn data(&mut self, conn: &Connection, bytes: &[u8]) {
//!         self.0 += bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
//!         conn.write(format!("{} lines\n", self.0));
//!     }
//!
//!     fn end(&mut self, conn: &Connection) {
//!         println!("{} sent {} lines", conn.peer(), self.0);
//!     }
//!
//!     fn save(&self) -> Option<Snapshot> {
//!         Some(Snapshot::new(1, self.0.to_le_bytes()))
//!     }
//!
//!     fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
//!         let state = snapshot.upgrade(1, &[])?;
//!         let state = state.try_into().map_err(|_| "the state is not 8 bytes")?;
//!         self.0 = u64::from_le_bytes(state);
//!         Ok(())
//!     }
//! }
//!
//! export!(Count);
//! ```
//!
//! By hand like this, any other guest can read it. With the feature `state` a type
//! is enough (the macro `state!`, and `Snapshot::of` and `Snapshot::read`), and
//! a snapshot of other fields is refused. A single file turns a feature on with
//! a line at its top: `// hotsocket: features = ["state"]`.
//!
//! # Time, random bytes, settings, a log
//! [`environment`] has what a guest needs of its surroundings without WASI: a guest
//! that the server was told to greet otherwise (`hotsocket serve --set greeting=Hi`):
//!
//! ```
//! use hotsocket_guest::environment::{self, Level};
//! use hotsocket_guest::{Connection, Handler, export};
//!
//! #[derive(Default)]
//! struct Greeter;
//!
//! impl Handler for Greeter {
//!     fn open(&mut self, conn: &Connection) -> Result<(), String> {
//!         let greeting = environment::setting("greeting").unwrap_or("Hello".to_owned());
//!         conn.write(greeting);
//!         environment::log(Level::Info, "greeted", &[("id", conn.id().into())]);
//!         Ok(())
//!     }
//! }
//!
//! export!(Greeter);
//! ```
//!
//! # No WASI
//! A guest imports what the contract gives and nothing else. [`println!`],
//! [`eprintln!`] and panics go through it, and so do `std`'s own `println!` and
//! `eprintln!`. For that the SDK replaces three functions of the C library, with
//! the effect that no environment variable is set and nothing can be written to
//! files; the feature `wasi` takes the replacements out. What else of `std`
//! needs the outside (clocks, files, sockets, also the random seed of a
//! `HashMap`) imports the WASI interface that has it. The server links them all
//! and grants nothing unless told to.
//!
//! # Tests
//! Compiled natively, a guest runs without a server: see [`testing`].
//!
//! # Layout
//! `handler` is the trait, `connection` the handle, `snapshot` the state that
//! moves, `state` makes snapshots of types, `framing` makes messages of a stream,
//! `environment` is time, random bytes, settings and the log,
//! `output` the lines and the panic hook, `peer` who is at the other end, `start_tls`
//! TLS that begins later, `topics` what connections say to each other,
//! `store` what outlives them; `glue` joins them to the generated
//! `bindings`, `sys` to the host; `libc` keeps WASI out.

// So that the expansion of `state!` has the same paths in here.
#[cfg(feature = "state")]
extern crate self as hotsocket_guest;

mod address;
#[doc(hidden)] // public for the expansion of `export!` only
pub mod bindings;
mod connection;
pub mod environment;
pub mod framing;
mod glue;
mod handler;
#[cfg(any(test, all(target_arch = "wasm32", not(target_feature = "atomics"))))]
mod heap;
#[cfg(all(target_family = "wasm", not(feature = "wasi")))]
mod libc;
mod output;
pub mod peer;
mod snapshot;
mod start_tls;
#[cfg(feature = "state")]
pub mod state;
pub mod store;
mod sys;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
pub mod topics;

pub use connection::{CloseReason, Connection, WriteError};
pub use handler::Handler;
pub use snapshot::{How, Resumed, Snapshot, Upgrade};
pub use start_tls::StartTlsError;

/// Make a type that implements [`Handler`] the guest of this crate. Once per
/// crate. The type may be a library's, with parameters: `export!(Server<Mine>)`.
#[macro_export]
macro_rules! export {
    ($handler:ty) => {
        $crate::export!(@with $handler);
    };
    // Called with messages, too: see `topics`.
    ($handler:ty, Subscriber) => {
        $crate::export!(@with $handler, export_subscriber);
    };
    (@with $handler:ty $(, $also:ident)?) => {
        const _: () = {
            ::std::thread_local! {
                static CELL: $crate::__private::Cell<$handler> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }

            enum Exporting {}

            impl $crate::__private::Exported for Exporting {
                type Handler = $handler;

                fn cell() -> &'static ::std::thread::LocalKey<$crate::__private::Cell<$handler>> {
                    &CELL
                }
            }

            // Natively there is no host to export to, and the names of
            // component exports are none that a native linker takes. The
            // handler counts as used all the same.
            #[cfg(not(target_family = "wasm"))]
            #[used]
            static USED: fn() -> $handler = <$handler as ::std::default::Default>::default;

            #[cfg(target_family = "wasm")]
            type Glue = $crate::__private::Glue<Exporting>;
            #[cfg(target_family = "wasm")]
            $crate::__private::export_bindings!(
                Glue with_types_in $crate::bindings
            );
            $(
                #[cfg(target_family = "wasm")]
                $crate::__private::$also!(
                    Glue with_types_in $crate::bindings::subscriber
                );
            )?
        };
    };
}

/// For the macros' expansions only.
#[doc(hidden)]
pub mod __private {
    pub use crate::glue::{Cell, Exported, Glue};
    pub use crate::output::{error, print};

    #[cfg(target_family = "wasm")]
    pub use crate::bindings::export_bindings;
    #[cfg(target_family = "wasm")]
    pub use crate::bindings::subscriber::export_subscriber;
}

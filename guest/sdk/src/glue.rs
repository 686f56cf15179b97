//! Between the generated exports and a [`Handler`]: turns the contract's values
//! into the SDK's, and owns the cell in which the handler lives.
//!
//! An instance serves one connection, so one static cell per guest is all the
//! state there is. It is a thread local because that needs no `unsafe`; on
//! WebAssembly, which has one thread here, it is a plain static.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::thread::LocalKey;

use crate::bindings::exports::hotsocket::socket::handler::Guest;
use crate::bindings::hotsocket::socket::types;
use crate::bindings::subscriber::exports::hotsocket::topics::subscriber;
use crate::topics::{Message, Subscriber};
use crate::{CloseReason, Connection, Handler, How, Resumed, Snapshot};
use crate::{address::socket_addr, output::install_panic_hook};

/// A handler at work.
#[derive(Default)]
pub struct Serving<H> {
    handler: H,
    conn: Connection,
}

/// Where the handler lives from `open` on.
pub type Cell<H> = RefCell<Option<Serving<H>>>;

/// Implemented by [`export!`](crate::export), which knows the type and so can
/// declare its static. Not for the handler itself, which may be a library's: a
/// crate may implement this only for a type of its own.
pub trait Exported {
    type Handler: Handler;

    fn cell() -> &'static LocalKey<Cell<Self::Handler>>;
}

/// The type whose functions are exported.
pub struct Glue<E>(PhantomData<E>);

/// Run an event. There is nothing to run before `open`, nor in the instance
/// that only hears `listening`.
fn event<E: Exported>(run: impl FnOnce(&mut E::Handler, &Connection)) {
    E::cell().with_borrow_mut(|cell| {
        if let Some(Serving { handler, conn }) = cell {
            run(handler, conn);
        }
    });
}

impl<E: Exported> Guest for Glue<E> {
    // `listening` and `open` are the first events of any instance, so the hook
    // is set there and the others pay nothing for it.
    fn listening(listeners: Vec<types::Address>) {
        install_panic_hook();
        let listeners: Vec<SocketAddr> = listeners
            .iter()
            .map(|address| socket_addr(&address.ip, address.port))
            .collect();
        E::Handler::listening(&listeners);
    }

    fn open(origin: types::Origin) -> Result<(), String> {
        install_panic_hook();
        E::cell().with_borrow_mut(|cell| {
            let Serving { handler, conn } = cell.insert(Serving::default());
            let (how, succession) = match origin {
                types::Origin::Accepted => return handler.open(conn),
                types::Origin::Migrated(succession) => (How::Migrated, succession),
                types::Origin::Woken(succession) => (How::Woken, succession),
                types::Origin::Restarted(succession) => (How::Restarted, succession),
            };
            let resumed = Resumed {
                how,
                snapshot: succession.snapshot.map(Snapshot::decode),
                peer_ended: succession.peer_ended,
            };
            handler.resume(conn, resumed)
        })
    }

    fn data(bytes: Vec<u8>) {
        event::<E>(|handler, conn| handler.data(conn, &bytes));
    }

    fn drained() {
        event::<E>(E::Handler::drained);
    }

    fn end() {
        event::<E>(E::Handler::end);
    }

    fn timer(id: u32) {
        event::<E>(|handler, conn| handler.timer(conn, id));
    }

    fn close(reason: types::CloseReason) {
        event::<E>(|handler, conn| handler.close(conn, close_reason(reason)));
    }

    fn save() -> Option<Vec<u8>> {
        E::cell().with_borrow(|cell| Some(cell.as_ref()?.handler.save()?.encode()))
    }
}

impl<E: Exported> subscriber::Guest for Glue<E>
where
    E::Handler: Subscriber,
{
    fn message(topic: String, sender: u64, bytes: Vec<u8>) {
        let message = Message {
            topic: &topic,
            sender,
            bytes: &bytes,
        };
        event::<E>(|handler, conn| handler.message(conn, message));
    }

    fn lagged(missed: u64) {
        event::<E>(|handler, conn| handler.lagged(conn, missed));
    }
}

fn close_reason(reason: types::CloseReason) -> CloseReason {
    match reason {
        types::CloseReason::Ended => CloseReason::Ended,
        types::CloseReason::AbortedByPeer => CloseReason::AbortedByPeer,
        types::CloseReason::AbortedByGuest => CloseReason::AbortedByGuest,
        types::CloseReason::IdleTimeout => CloseReason::IdleTimeout,
        types::CloseReason::WriteTimeout => CloseReason::WriteTimeout,
        types::CloseReason::Shutdown => CloseReason::Shutdown,
        types::CloseReason::Swapped => CloseReason::Swapped,
        types::CloseReason::Other(why) => CloseReason::Other(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Session, printed};

    /// Keeps what it was told, as text.
    #[derive(Default)]
    struct Told(String);

    impl Handler for Told {
        fn listening(listeners: &[SocketAddr]) {
            crate::println!("listening on {}", listeners[0].port());
        }

        fn resume(&mut self, _: &Connection, resumed: Resumed) -> Result<(), String> {
            let how = format!("{:?} {}", resumed.how, resumed.peer_ended);
            self.0 = format!("{how} {:?}", resumed.snapshot.ok_or("no snapshot")?);
            Ok(())
        }

        fn data(&mut self, conn: &Connection, bytes: &[u8]) {
            self.0 += &String::from_utf8_lossy(bytes);
            conn.write(&self.0);
        }

        fn close(&mut self, _: &Connection, reason: CloseReason) {
            crate::println!("{reason:?} {}", self.0);
        }

        fn save(&self) -> Option<Snapshot> {
            Some(Snapshot::new(7, self.0.as_str()))
        }
    }

    struct Exporting;

    impl Exported for Exporting {
        type Handler = Told;

        fn cell() -> &'static LocalKey<Cell<Told>> {
            thread_local! {
                static CELL: Cell<Told> = const { RefCell::new(None) };
            }
            &CELL
        }
    }

    type Exports = Glue<Exporting>;

    fn succession(snapshot: Option<Vec<u8>>) -> types::Succession {
        types::Succession {
            snapshot,
            peer_ended: true,
        }
    }

    #[test]
    fn a_whole_life() {
        Exports::listening(vec![types::Address {
            ip: "::1".to_owned(),
            port: 4000,
        }]);
        assert_eq!(printed(), ["listening on 4000"]);
        // Before `open` there is no handler, and nothing happens.
        Exports::data(b"early".to_vec());
        assert_eq!(Exports::save(), None);

        assert_eq!(Exports::open(types::Origin::Accepted), Ok(()));
        Exports::data(b"a".to_vec());
        Exports::data(b"b".to_vec());
        assert_eq!(Exports::save(), Some(b"\x07\0\0\0ab".to_vec()));
        Exports::close(types::CloseReason::Other("why".to_owned()));
        assert_eq!(printed(), ["Other(\"why\") ab"]);
    }

    #[test]
    fn a_successor_is_told_what_it_inherits() {
        let migrated = types::Origin::Migrated(succession(Some(b"\x01\0\0\0x".to_vec())));
        assert_eq!(Exports::open(migrated), Ok(()));
        let expected = "Migrated true Snapshot { version: 1, state: [120] }";
        Exporting::cell().with_borrow(|cell| {
            assert_eq!(
                cell.as_ref().map(|serving| serving.handler.0.as_str()),
                Some(expected)
            );
        });
        let woken = types::Origin::Woken(succession(None));
        assert_eq!(Exports::open(woken), Err("no snapshot".to_owned()));
    }

    #[test]
    fn testing_without_the_glue_agrees() {
        let mut session = Session::<Told>::open();
        assert_eq!(session.data("a"), b"a");
    }
}

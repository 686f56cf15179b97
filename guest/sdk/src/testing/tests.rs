//! Sessions, and what stands in for the server.

use std::time::UNIX_EPOCH;

use super::*;
use crate::environment;
use crate::store::{Bucket, StoreError};

/// `t` sets timers, `c` clears one, `e` ends, `a` aborts, `h` holds open,
/// `p` pauses.
#[derive(Default)]
struct Obeys;

impl Handler for Obeys {
    fn data(&mut self, conn: &Connection, bytes: &[u8]) {
        match bytes {
            b"t" => [30, 10, 20].iter().for_each(|&id| {
                conn.set_timer(id, Duration::from_secs(u64::from(id)));
            }),
            b"c" => conn.clear_timer(20),
            b"e" => conn.end(),
            b"a" => conn.abort(),
            b"h" => conn.hold_open(),
            b"p" => conn.pause(),
            _ => drop(conn.write(bytes)),
        }
    }

    fn timer(&mut self, conn: &Connection, id: u32) {
        conn.write(format!("{id} "));
        if id == 10 {
            conn.set_timer(11, Duration::from_secs(5));
        }
    }

    fn save(&self) -> Option<Snapshot> {
        Some(Snapshot::new(1, []))
    }
}

#[test]
fn timers_run_out_in_their_order_also_across_a_swap() {
    let mut session = Session::<Obeys>::open();
    session.data("t");
    session.data("c");
    let seconds = Duration::from_secs;
    assert_eq!(session.timers(), [(10, seconds(10)), (30, seconds(30))]);
    assert_eq!(session.advance(seconds(9)), b"");
    let mut session = session.swap::<Obeys>().expect("the same code");
    assert_eq!(session.advance(seconds(1)), b"10 ");
    assert_eq!(session.timers(), [(11, seconds(5)), (30, seconds(20))]);
    assert_eq!(session.advance(seconds(100)), b"11 30 ");
    assert_eq!(session.timers(), []);
}

#[test]
fn what_is_done_to_the_connection_is_seen() {
    let mut session = Session::<Obeys>::open();
    session.data("h");
    assert!(session.is_held_open() && !session.has_ended());
    session.data("e");
    assert!(session.has_ended() && !session.is_held_open());
    assert_eq!(session.data("late"), b"", "its side is closed");
    let mut session = Session::<Obeys>::open();
    session.data("a");
    assert!(session.has_aborted() && !session.has_ended());
}

/// Says what happens, and holds open when asked to.
#[derive(Default)]
struct Tells;

impl Handler for Tells {
    fn data(&mut self, conn: &Connection, _: &[u8]) {
        conn.hold_open();
    }

    fn end(&mut self, conn: &Connection) {
        conn.write("end ");
    }

    fn timer(&mut self, conn: &Connection, id: u32) {
        conn.write(format!("{id} "));
    }

    fn close(&mut self, conn: &Connection, reason: CloseReason) {
        conn.write(format!("{reason:?}"));
    }
}

#[test]
fn after_the_peers_end_only_a_connection_that_is_held_open_can_be_written_to() {
    let mut session = Session::<Tells>::open();
    assert_eq!(session.end(), b"end ");
    assert_eq!(session.timer(1), b"");
    let mut session = Session::<Tells>::open();
    session.data("hold open");
    assert_eq!(session.end(), b"end ");
    assert_eq!(session.timer(1), b"1 ");
    assert_eq!(session.close(CloseReason::Shutdown), b"Shutdown");
}

#[test]
#[should_panic = "the peer has sent FIN already"]
fn nothing_comes_after_the_peers_end() {
    let mut session = Session::<Tells>::open();
    session.end();
    session.data("x");
}

#[test]
#[should_panic = "the guest has paused"]
fn nothing_comes_while_the_guest_has_paused() {
    let mut session = Session::<Obeys>::open();
    session.data("p");
    session.data("x");
}

#[test]
#[should_panic = "the guest has aborted the connection"]
fn nothing_comes_after_an_abort() {
    let mut session = Session::<Obeys>::open();
    session.data("t");
    session.data("a");
    assert_eq!(session.advance(Duration::from_secs(60)), b"");
    assert_eq!(session.time(), Duration::from_secs(60));
    assert_eq!(session.timers().len(), 3);
    session.timer(1);
}

/// Saves as many bytes as it was sent, and writes and stores while it does.
#[derive(Default)]
struct Saves(Vec<u8>);

impl Handler for Saves {
    fn data(&mut self, _: &Connection, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn save(&self) -> Option<Snapshot> {
        let bucket = Bucket::open("").expect("a bucket");
        assert_eq!(bucket.set("k", "v"), Err(StoreError::AccessDenied));
        assert_eq!(bucket.delete("k"), Err(StoreError::AccessDenied));
        let conn = Connection::default();
        conn.write("nobody reads this");
        conn.set_timer(1, Duration::ZERO);
        conn.end();
        environment::log(environment::Level::Warn, "nobody sees this", &[]);
        crate::topics::publish("a", "nobody hears this").expect("a topic");
        Some(Snapshot::new(1, self.0.clone()))
    }

    fn resume(&mut self, conn: &Connection, resumed: Resumed) -> Result<(), String> {
        let saved = resumed.snapshot.map(|snapshot| snapshot.state.len());
        conn.write(format!("{saved:?}"));
        Ok(())
    }
}

#[test]
fn save_only_reads_and_a_snapshot_that_is_too_large_is_none() {
    let mut session = Session::<Saves>::open();
    let _ = printed();
    session.set_max_snapshot(10);
    session.data("123456");
    let mut session = session.swap::<Saves>().expect("the same code");
    assert_eq!(session.written(), b"Some(6)");
    assert_eq!(session.published(), []);
    assert_eq!(session.timers(), []);
    assert_eq!(printed(), [""; 0]);
    assert!(!session.has_ended());
    session.data("1234567");
    let mut session = session.swap::<Saves>().expect("the same code");
    assert_eq!(session.written(), b"None");
}

#[test]
fn each_connection_has_an_id() {
    let session = Session::<Saves>::open();
    assert_eq!(session.conn.id(), 1);
    let session = session.close_and_open();
    assert_eq!(session.conn.id(), 2);
}

#[test]
fn a_farewell_is_sent_where_the_server_sends_one() {
    let farewell = |reason| Session::<Tells>::open().close(reason);
    assert_eq!(farewell(CloseReason::IdleTimeout), b"IdleTimeout");
    assert_eq!(farewell(CloseReason::Swapped), b"Swapped");
    assert_eq!(farewell(CloseReason::Ended), b"");
    assert_eq!(farewell(CloseReason::AbortedByPeer), b"");
}

/// Tells what its surroundings say.
#[derive(Default)]
struct Asks;

impl Handler for Asks {
    fn data(&mut self, conn: &Connection, name: &[u8]) {
        let name = String::from_utf8_lossy(name);
        let value = environment::setting(&name).unwrap_or("none".to_owned());
        let passed = environment::now().duration_since(UNIX_EPOCH);
        conn.write(format!(
            "{value} at {}",
            passed.expect("after 1970").as_secs()
        ));
        let fields = [("name", name.as_ref().into()), ("size", name.len().into())];
        environment::log(environment::Level::Warn, "asked", &fields);
    }

    fn timer(&mut self, conn: &Connection, _: u32) {
        conn.write(environment::random::<4>());
    }
}

#[test]
fn surroundings_are_what_the_test_says() {
    let mut session = Session::<Asks>::open_with(&[("a", "1")]);
    let _ = printed();
    assert_eq!(session.data("a"), b"1 at 1767225600");
    session.advance(Duration::from_secs(90));
    assert_eq!(environment::uptime(), session.time());
    assert_eq!(session.data("bc"), b"none at 1767225690");
    let lines = ["WARN asked name=a size=1", "WARN asked name=bc size=2"];
    assert_eq!(printed(), lines);
    let random = session.timer(1);
    assert_ne!(random, session.timer(1));
    assert_eq!(Session::<Asks>::open().timer(1), random, "in each test");
}

#[test]
#[should_panic = "cannot write 5 bytes: too many bytes wait for the peer (raise --max-queue"]
fn a_write_beyond_the_queue_panics() {
    let mut session = Session::<Obeys>::open();
    session.set_max_queue(4);
    assert_eq!(session.data("four"), b"four");
    session.data("fives");
}

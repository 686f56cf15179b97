//! A handshake takes at most `--handshake-timeout`, in a task of its own and
//! before an instance is made. Plain TCP has none, so the node of this test has a
//! listener whose handshake never ends for some peers.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hotsocket::limits::Limits;
use hotsocket::listener::{Handshake, Incoming, Listener, Tcp, TcpIncoming};
use hotsocket::node::{Control, Node, Options, ServiceOptions};
use hotsocket::output::{GuestLines, Output};
use hotsocket_sandbox::{CodeCacheDir, Endpoint};

use crate::guests::obeying;
use crate::harness::{Client, temp_dir, wait_for};

/// Every second connection is stuck in its handshake.
struct Stuck {
    listener: Tcp,
    accepted: u32,
}

struct MaybeStuck {
    incoming: TcpIncoming,
    stuck: bool,
}

impl Listener for Stuck {
    type Incoming = MaybeStuck;

    async fn accept(&mut self) -> io::Result<MaybeStuck> {
        let incoming = self.listener.accept().await?;
        self.accepted += 1;
        Ok(MaybeStuck {
            incoming,
            stuck: self.accepted % 2 == 1,
        })
    }
}

impl Incoming for MaybeStuck {
    fn peer(&self) -> Endpoint {
        self.incoming.peer()
    }

    fn handshake(self) -> Handshake {
        if !self.stuck {
            return self.incoming.handshake();
        }
        Handshake::Pending(Box::pin(async move {
            let _socket = self.incoming;
            std::future::pending().await
        }))
    }

    fn reset(self) {
        self.incoming.reset();
    }
}

#[test]
fn one_that_never_ends_is_closed_and_delays_nobody() {
    let dir = temp_dir();
    let guest = dir.path().join("guest.wasm");
    std::fs::write(&guest, obeying(&[]).build()).expect("writable");
    let service = ServiceOptions {
        guest: guest.into(),
        listeners: vec![SocketAddr::from(([127, 0, 0, 1], 0)).into()],
        limits: Limits {
            handshake_timeout: Duration::from_millis(300),
            ..Limits::default()
        },
        ..ServiceOptions::default()
    };
    let options = Options {
        control: Control::None,
        code_cache: CodeCacheDir::None,
        ..service.into()
    };
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let output =
        Output::to(io::sink(), io::sink(), (false, false), GuestLines::Plain).expect("threads");
    let node = runtime
        .block_on(Node::start_with(
            options,
            output,
            Instant::now(),
            |listener| Stuck {
                listener,
                accepted: 0,
            },
        ))
        .expect("it starts");
    let address = node.listeners()[0].socket_addr().expect("TCP");
    let mut stuck = Client::connect(address);
    let mut served = Client::connect(address);
    served.ask("x", "x");
    // Only the other one has a session, as no instance was made for this one.
    assert_eq!(node.connections(), 1);
    stuck.expect_rest("");
    served.ask("y", "y");
    drop(served);
    wait_for("the end of the session", || node.connections() == 0);
    runtime.block_on(node.shut_down(Duration::MAX));
}

//! A client that never waits for ever.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};

use socket2::{Domain, SockRef, Socket, Type};

use super::PATIENCE;

/// A connection to a server, with a deadline on every read and write.
pub struct Client {
    pub stream: TcpStream,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).expect("the server accepts")
    }

    /// # Errors
    /// When nobody listens there.
    pub fn try_connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self::on(TcpStream::connect(address)?))
    }

    /// Connect from this address of this machine.
    pub fn connect_from(local: IpAddr, address: SocketAddr) -> Self {
        Self::try_connect_from(local, address).expect("the server accepts")
    }

    /// # Errors
    /// When nobody listens there.
    pub fn try_connect_from(local: IpAddr, address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None);
        let socket = socket.expect("a socket");
        socket
            .bind(&SocketAddr::new(local, 0).into())
            .expect("an address of this machine");
        socket.connect(&address.into())?;
        Ok(Self::on(socket.into()))
    }

    /// The server resets the connection as soon as it accepts it. On a busy machine that is
    /// before connect(2) returns, and its error.
    pub fn expect_refusal(connected: io::Result<Self>) {
        match connected {
            Ok(mut client) => client.expect_reset(),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
        }
    }

    fn on(stream: TcpStream) -> Self {
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a read timeout");
        stream
            .set_write_timeout(Some(PATIENCE))
            .expect("a write timeout");
        stream.set_nodelay(true).expect("no delay");
        Client { stream }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream
            .write_all(bytes.as_ref())
            .expect("the server takes it");
    }

    /// Send it from another thread, while this one reads. The thread gives the
    /// error if the server does not take all of it.
    pub fn send_meanwhile(
        &self,
        bytes: impl AsRef<[u8]> + Send + 'static,
    ) -> JoinHandle<io::Result<()>> {
        let mut writer = self.stream.try_clone().expect("a second handle");
        thread::spawn(move || writer.write_all(bytes.as_ref()))
    }

    /// The same, and then say that nothing more comes.
    pub fn send_meanwhile_and_end(
        &self,
        bytes: impl AsRef<[u8]> + Send + 'static,
    ) -> JoinHandle<io::Result<()>> {
        let mut writer = self.stream.try_clone().expect("a second handle");
        thread::spawn(move || {
            writer.write_all(bytes.as_ref())?;
            writer.shutdown(Shutdown::Write)
        })
    }

    /// Read exactly so many bytes.
    #[track_caller]
    pub fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let mut got = 0;
        while got < count {
            match self.stream.read(&mut bytes[got..]) {
                Ok(0) => panic!("the server ended after {:?}", shown(&bytes[..got])),
                Ok(more) => got += more,
                Err(error) => panic!("{error} after {:?}", shown(&bytes[..got])),
            }
        }
        bytes
    }

    /// The next bytes are these.
    #[track_caller]
    pub fn expect(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        same(&self.read(expected.len()), expected);
    }

    /// Send this, and read that.
    #[track_caller]
    pub fn ask(&mut self, question: impl AsRef<[u8]>, answer: impl AsRef<[u8]>) {
        self.send(question);
        self.expect(answer);
    }

    /// Say that nothing more comes.
    pub fn end(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("FIN");
    }

    /// Everything up to the server's FIN.
    ///
    /// # Errors
    /// When the server resets the connection.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The server sends this and nothing else, and then ends.
    #[track_caller]
    pub fn expect_rest(&mut self, expected: impl AsRef<[u8]>) {
        same(&self.rest().expect("FIN, not RST"), expected.as_ref());
    }

    /// The server closes, in whichever way.
    pub fn expect_over(&mut self) {
        match self.rest() {
            Ok(bytes) => assert_eq!(shown(&bytes), ""),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
        }
    }

    /// The server resets the connection.
    pub fn expect_reset(&mut self) {
        let error = self.rest().expect_err("RST");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    }

    /// Reset the connection.
    pub fn reset(self) {
        SockRef::from(&self.stream)
            .set_linger(Some(std::time::Duration::ZERO))
            .expect("linger");
    }
}

#[track_caller]
fn same(got: &[u8], expected: &[u8]) {
    assert!(
        got == expected,
        "read {:?}, not {:?}",
        shown(got),
        shown(expected)
    );
}

/// Bytes for a message: text, and not all of a long one.
fn shown(bytes: &[u8]) -> String {
    let part = bytes.get(..200).unwrap_or(bytes);
    let more = if part.len() < bytes.len() {
        format!("… ({} bytes)", bytes.len())
    } else {
        String::new()
    };
    String::from_utf8_lossy(part).into_owned() + &more
}

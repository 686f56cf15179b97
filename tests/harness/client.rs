//! A client that never waits for ever.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use socket2::SockRef;

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
        let stream = TcpStream::connect(address)?;
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a read timeout");
        stream
            .set_write_timeout(Some(PATIENCE))
            .expect("a write timeout");
        stream.set_nodelay(true).expect("no delay");
        Ok(Client { stream })
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream
            .write_all(bytes.as_ref())
            .expect("the server takes it");
    }

    /// Read exactly so many bytes.
    pub fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let mut got = 0;
        while got < count {
            match self.stream.read(&mut bytes[got..]) {
                Ok(0) => panic!("the server ended after {:?}", told(&bytes[..got])),
                Ok(more) => got += more,
                Err(error) => panic!("{error} after {:?}", told(&bytes[..got])),
            }
        }
        bytes
    }

    /// The next bytes are these.
    pub fn expect(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        let got = self.read(expected.len());
        assert!(
            got == expected,
            "read {:?}, not {:?}",
            told(&got),
            told(expected)
        );
    }

    /// Send this, and read that.
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
    pub fn expect_rest(&mut self, expected: impl AsRef<[u8]>) {
        let got = self.rest().expect("FIN, not RST");
        let expected = expected.as_ref();
        assert!(
            got == expected,
            "read {:?}, not {:?}",
            told(&got),
            told(expected)
        );
    }

    /// The server closes, in whichever way.
    pub fn expect_over(&mut self) {
        match self.rest() {
            Ok(bytes) => assert_eq!(told(&bytes), ""),
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

/// Bytes for a message: text, and not all of a long one.
fn told(bytes: &[u8]) -> String {
    let shown = bytes.get(..200).unwrap_or(bytes);
    let more = if shown.len() < bytes.len() {
        format!("… ({} bytes)", bytes.len())
    } else {
        String::new()
    };
    String::from_utf8_lossy(shown).into_owned() + &more
}

//! The server to compare topics with: it sends what its first connection says to all
//! others, in a loop of bare `send`.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::Result;

/// More than a message.
const BUFFER: usize = 64 * 1024;

/// Serve on a free port until killed.
pub fn serve() -> Result<()> {
    let started = Instant::now();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    eprintln!("listening on {}", listener.local_addr()?);
    eprintln!("ready in {} ms", started.elapsed().as_millis());
    let (publisher, _) = listener.accept()?;
    let subscribers = Arc::<Mutex<Vec<TcpStream>>>::default();
    let receivers = Arc::clone(&subscribers);
    std::thread::spawn(move || send_to_all(publisher, &receivers));
    loop {
        let (mut socket, _) = listener.accept()?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let mut subscribers = subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        // The client knows by it that it belongs to all.
        socket.write_all(b"ok\n")?;
        subscribers.push(socket);
    }
}

fn send_to_all(mut publisher: TcpStream, subscribers: &Mutex<Vec<TcpStream>>) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(length @ 1..) = publisher.read(&mut buffer) {
        let message = buffer.get(..length).unwrap_or_default();
        let subscribers = subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        for mut socket in subscribers.iter() {
            match socket.write(message) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return,
                _ => {}
            }
        }
    }
}

// hotsocket: features = ["state"]
//! Teaches: a protocol of lines, with a state that is a type. It takes mail as an
//! SMTP server does, logs it, and loses nothing of a session in a swap.
//!
//! Try it: `hotsocket build smtp.rs && hotsocket serve smtp.wasm`, then in another
//! terminal: `swaks --server 127.0.0.1:3000 --to you@example.org`

use hotsocket_guest::framing::{Frames, Lines};
use hotsocket_guest::{Connection, Handler, Snapshot, export, println, state};

/// The most bytes of one mail.
const LARGEST: usize = 512 * 1024;

state! {
    #[derive(Default)]
    pub struct Session {
        lines: Frames<Lines, 1000>,
        from: Option<String>,
        to: Vec<String>,
        /// The lines of the mail, while they come.
        mail: Option<Vec<u8>>,
    }
}

impl Handler for Session {
    fn open(&mut self, conn: &Connection) -> Result<(), String> {
        conn.write("220 hotsocket\r\n");
        Ok(())
    }

    fn data(&mut self, conn: &Connection, bytes: &[u8]) {
        self.lines.push(bytes);
        loop {
            let reply = match self.lines.next() {
                Ok(Some(line)) => self.line(&line),
                Ok(None) => return,
                Err(error) => format!("500 {error}"),
            };
            if !reply.is_empty() {
                conn.write(format!("{reply}\r\n"));
            }
            if reply.starts_with("221") || reply.starts_with("500 more") {
                return conn.end();
            }
        }
    }

    fn save(&self) -> Option<Snapshot> {
        Some(Snapshot::of(1, self))
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
        *self = snapshot.read()?;
        Ok(())
    }
}

impl Session {
    /// The reply to a line; the lines of a mail have none.
    fn line(&mut self, line: &[u8]) -> String {
        if let Some(mail) = self.mail.as_mut().filter(|_| line != b".") {
            // A line that begins with a dot has another before it.
            mail.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
            mail.push(b'\n');
            mail.truncate(LARGEST + 1);
            return String::new();
        }
        if let Some(mail) = self.mail.take() {
            let from = self.from.take().unwrap_or_default();
            let to = std::mem::take(&mut self.to).join(", ");
            if mail.len() > LARGEST {
                return format!("552 more than {LARGEST} bytes");
            }
            println!("{} bytes from {from} to {to}", mail.len());
            return "250 taken".to_owned();
        }
        let line = String::from_utf8_lossy(line);
        let upper = line.to_ascii_uppercase();
        let address = || line.split(['<', '>']).nth(1).unwrap_or("?").to_owned();
        match upper.get(..4).unwrap_or(&upper) {
            "HELO" | "EHLO" => return "250 hotsocket".to_owned(),
            "MAIL" => self.from = Some(address()),
            "RCPT" if self.from.is_some() && self.to.len() < 100 => self.to.push(address()),
            "DATA" if !self.to.is_empty() => {
                self.mail = Some(Vec::new());
                return "354 end with a dot".to_owned();
            }
            "RSET" => (self.from, self.to) = (None, Vec::new()),
            "NOOP" => {}
            "QUIT" => return "221 bye".to_owned(),
            _ => return "503 not now".to_owned(),
        }
        "250 ok".to_owned()
    }
}

export!(Session);

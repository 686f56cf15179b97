// hotsocket: features = ["state"]
//! Teaches: a protocol of lines, with a state that is a type. It takes mail as an
//! SMTP server does, logs it, and loses nothing of a session in a swap. With certificates
//! and `--tls-mode starttls` it offers STARTTLS (RFC 3207).
//!
//! Try it: `hotsocket serve smtp.rs`, then in another terminal:
//! `swaks --server 127.0.0.1:3000 --to you@example.org`, with `--tls` under TLS.

use hotsocket_guest::framing::{Delimited, Frames};
use hotsocket_guest::{Connection, Handler, Snapshot, export, println, state};

/// The most bytes of one mail.
const LARGEST: usize = 512 * 1024;

state! {
    #[derive(Default)]
    pub struct Session {
        lines: Frames<Delimited<b'\n'>, 1000>,
        /// Empty in a bounce.
        from: Option<String>,
        to: Vec<String>,
        /// The lines of the mail, while they come.
        mail: Option<Vec<u8>>,
        /// This side has ended. Bytes still come, and are dropped.
        has_ended: bool,
    }

    /// As it was in snapshots of version 1.
    struct Version1 {
        lines: Frames<Delimited<b'\n'>, 1000>,
        from: String,
        to: Vec<String>,
        mail: Option<Vec<u8>>,
    }
}

impl Handler for Session {
    fn open(&mut self, conn: &Connection) -> Result<(), String> {
        conn.write("220 hotsocket\r\n");
        Ok(())
    }

    fn data(&mut self, conn: &Connection, bytes: &[u8]) {
        if self.has_ended {
            return;
        }
        self.lines.push(bytes);
        while let Some(line) = self.lines.next().transpose() {
            let line = line.map_err(|error| format!("500 {error}\r\n"));
            match line.and_then(|line| self.reply(conn, &line)) {
                Ok(reply) => conn.write(reply),
                Err(last) => {
                    conn.write(last);
                    *self = Self::default();
                    self.has_ended = true;
                    return conn.end();
                }
            };
        }
    }

    fn save(&self) -> Option<Snapshot> {
        Some(Snapshot::of(2, self))
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
        if snapshot.version == 1 {
            let old: Version1 = snapshot.read()?;
            (self.lines, self.to, self.mail) = (old.lines, old.to, old.mail);
            self.from = Some(old.from).filter(|from| !from.is_empty());
            return Ok(());
        }
        *self = snapshot.read()?;
        Ok(())
    }
}

impl Session {
    /// The reply to a line; the lines of a mail have none. An error ends the session.
    fn reply(&mut self, conn: &Connection, line: &[u8]) -> Result<&'static str, String> {
        // If LF alone ended a line, a dot that another server takes for text would end the mail
        // here, and what follows it would be a second one, smuggled in (CVE-2023-51764).
        let line = line.strip_suffix(b"\r");
        let line = line.ok_or("500 a line ends with CR LF\r\n")?;
        if let Some(mail) = &mut self.mail {
            if line == b"." {
                let (size, to) = (mail.len(), self.to.join(", "));
                let from = self.from.take().unwrap_or_default();
                println!("{size} bytes from {from} to {to}");
                (self.to, self.mail) = Default::default();
                return Ok("250 taken\r\n");
            }
            // A line that begins with a dot has another before it.
            mail.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
            mail.push(b'\n');
            let fits = mail.len() <= LARGEST;
            return fits.then_some("").ok_or("421 too large\r\n".to_owned());
        }
        let line = String::from_utf8_lossy(line);
        let address = || line.split(['<', '>']).nth(1).unwrap_or("?").to_owned();
        match line.get(..4).unwrap_or(&line).to_ascii_uppercase().as_str() {
            "EHLO" if conn.can_start_tls() => return Ok("250-hotsocket\r\n250 STARTTLS\r\n"),
            "HELO" | "EHLO" => return Ok("250 hotsocket\r\n"),
            // What comes with the command would have come in plain text, from anybody.
            "STAR" if !self.lines.half().is_empty() => {
                return Err("554 nothing comes with STARTTLS\r\n".to_owned());
            }
            "STAR" if conn.start_tls("220 go ahead\r\n").is_ok() => {
                *self = Self::default();
                return Ok("");
            }
            "MAIL" => self.from = Some(address()),
            "RCPT" if self.from.is_some() && self.to.len() < 100 => self.to.push(address()),
            "DATA" if !self.to.is_empty() => {
                self.mail = Some(Vec::new());
                return Ok("354 end with a dot\r\n");
            }
            "RSET" => (self.from, self.to) = Default::default(),
            "NOOP" => {}
            "QUIT" => return Err("221 bye\r\n".to_owned()),
            _ => return Ok("503 not now\r\n"),
        }
        Ok("250 ok\r\n")
    }
}

export!(Session);

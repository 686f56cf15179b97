//! What each command does, but for those on keys and channels.

use hotsocket_guest::Connection;
use hotsocket_guest::store::StoreError;

use crate::Client;
use crate::channels::Kind;
use crate::reply::Out;
use crate::request::Args;

/// The longest name of a command, in bytes.
const MAX_NAME: usize = 16;
const VERSION: &str = "7.0.0";

/// Why a command has failed.
pub enum Failure {
    Usage,
    Syntax,
    NotANumber,
    Key,
    Store(StoreError),
    Other(&'static str),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Store(error)
    }
}

impl Client {
    /// Run a command. Returns false if the connection is over with it.
    pub fn run(&mut self, conn: &Connection, args: Args<'_, '_>, out: &mut Out) -> bool {
        if args.len() == 0 {
            return true;
        }
        let mut name = [0; MAX_NAME];
        let given = args.get(0);
        let name: &[u8] = match name.get_mut(..given.len()) {
            Some(name) => {
                name.copy_from_slice(given);
                name.make_ascii_uppercase();
                name
            }
            None => given,
        };
        let is_subscribed = !self.is_resp3 && self.channels.count() > 0;
        if is_subscribed && !may_be_subscribed(name) {
            let name = String::from_utf8_lossy(name).to_lowercase();
            out.error(&format!(
                "ERR Can't execute '{name}': only (P)SUBSCRIBE / (P)UNSUBSCRIBE / PING / QUIT \
                 are allowed in this context"
            ));
            return true;
        }
        let result = match name {
            b"QUIT" => {
                out.ok();
                return false;
            }
            b"PING" if is_subscribed => {
                out.array(2);
                out.bulk(b"pong");
                out.bulk(args.get(1));
                Ok(())
            }
            _ => match self.run_on_keys(name, args, out) {
                Some(result) => result,
                None => self.run_other(conn, name, args, out),
            },
        };
        if let Err(failure) = result {
            let name = String::from_utf8_lossy(given).to_lowercase();
            out.error(&failure.text(&name));
        }
        true
    }

    fn run_other(
        &mut self,
        conn: &Connection,
        name: &[u8],
        args: Args<'_, '_>,
        out: &mut Out,
    ) -> Result<(), Failure> {
        match (name, args.len()) {
            (b"PING", 1) => out.simple("PONG"),
            (b"PING" | b"ECHO", 2) => out.bulk(args.get(1)),
            (b"HELLO", _) => self.hello(conn, args, out)?,
            (b"SELECT", 2) => match args.get(1) {
                b"0" => out.ok(),
                _ => return Err(Failure::Other("ERR DB index is out of range")),
            },
            (b"CLIENT", 2..) => self.client(conn, args, out)?,
            // Clients want to know how commands are used; they do without.
            (b"COMMAND", _) if args.get(1).eq_ignore_ascii_case(b"DOCS") => out.map(0),
            (b"COMMAND", _) if args.get(1).eq_ignore_ascii_case(b"COUNT") => out.integer(0),
            (b"COMMAND", _) => out.array(0),
            // `redis-benchmark` shows what it gets.
            (b"CONFIG", 3) if args.get(1).eq_ignore_ascii_case(b"GET") => {
                out.map(1);
                out.bulk(args.get(2));
                out.bulk(b"");
            }
            (b"INFO", _) => {
                let info =
                    format!("# Server\r\nredis_version:{VERSION}\r\nserver:hotsocket kv\r\n");
                out.bulk(info.as_bytes());
            }
            (b"SUBSCRIBE", 2..) => self.channels.subscribe(Kind::Channel, args.from(1), out),
            (b"PSUBSCRIBE", 2..) => self.channels.subscribe(Kind::Pattern, args.from(1), out),
            (b"UNSUBSCRIBE", _) => self.channels.unsubscribe(Kind::Channel, args.from(1), out),
            (b"PUNSUBSCRIBE", _) => self.channels.unsubscribe(Kind::Pattern, args.from(1), out),
            (b"PUBLISH", 3) => self.channels.publish(args.get(1), args.get(2), out)?,
            (
                b"PING" | b"ECHO" | b"SELECT" | b"CLIENT" | b"CONFIG" | b"SUBSCRIBE"
                | b"PSUBSCRIBE" | b"PUBLISH",
                _,
            ) => return Err(Failure::Usage),
            _ => {
                let name = String::from_utf8_lossy(args.get(0));
                let name: String = name.chars().take(128).collect();
                out.error(&format!("ERR unknown command '{name}'"));
            }
        }
        Ok(())
    }

    /// Say what is spoken here, in the version that the client wants from now on.
    fn hello(
        &mut self,
        conn: &Connection,
        args: Args<'_, '_>,
        out: &mut Out,
    ) -> Result<(), Failure> {
        let is_resp3 = match args.len() {
            0 | 1 => self.is_resp3,
            _ => match args.get(1) {
                b"2" => false,
                b"3" => true,
                _ => return Err(Failure::Other("NOPROTO unsupported protocol version")),
            },
        };
        let mut name = None;
        let mut options = args.from(2);
        while let Some(option) = options.next() {
            if option.eq_ignore_ascii_case(b"SETNAME") {
                name = Some(options.next().ok_or(Failure::Syntax)?);
            } else {
                return Err(Failure::Syntax);
            }
        }
        // Only now: who has got an error goes on as before.
        self.is_resp3 = is_resp3;
        if let Some(name) = name {
            self.set_name(conn, name);
        }
        out.is_resp3 = self.is_resp3;
        out.map(6);
        for (name, value) in [("server", "redis"), ("version", VERSION)] {
            out.bulk(name.as_bytes());
            out.bulk(value.as_bytes());
        }
        out.bulk(b"proto");
        out.integer(if self.is_resp3 { 3 } else { 2 });
        out.bulk(b"id");
        out.integer(i64::try_from(conn.id()).unwrap_or(i64::MAX));
        for (name, value) in [("mode", "standalone"), ("role", "master")] {
            out.bulk(name.as_bytes());
            out.bulk(value.as_bytes());
        }
        Ok(())
    }

    fn client(
        &mut self,
        conn: &Connection,
        args: Args<'_, '_>,
        out: &mut Out,
    ) -> Result<(), Failure> {
        let of = args.get(1).to_ascii_uppercase();
        match (of.as_slice(), args.len()) {
            (b"SETNAME", 3) => {
                self.set_name(conn, args.get(2));
                out.ok();
            }
            (b"GETNAME", 2) => out.bulk(&self.name),
            (b"ID", 2) => out.integer(i64::try_from(conn.id()).unwrap_or(i64::MAX)),
            (b"SETINFO", 4) => out.ok(),
            _ => return Err(Failure::Syntax),
        }
        Ok(())
    }

    fn set_name(&mut self, conn: &Connection, name: &[u8]) {
        self.name = name.iter().take(64).copied().collect();
        conn.set_label(&String::from_utf8_lossy(&self.name));
    }
}

/// What a client in RESP2 may ask while it has subscriptions.
fn may_be_subscribed(name: &[u8]) -> bool {
    matches!(
        name,
        b"SUBSCRIBE" | b"PSUBSCRIBE" | b"UNSUBSCRIBE" | b"PUNSUBSCRIBE" | b"PING" | b"QUIT"
    )
}

impl Failure {
    /// For the client; `name` is that of the command.
    fn text(&self, name: &str) -> String {
        match self {
            Failure::Usage => format!("ERR wrong number of arguments for '{name}' command"),
            Failure::Syntax => "ERR syntax error".to_owned(),
            Failure::NotANumber => "ERR value is not an integer or out of range".to_owned(),
            Failure::Key => "ERR a key is UTF-8 of 1 to 1,024 bytes here".to_owned(),
            Failure::Store(error) => match error.to_string().as_str() {
                "the value is not a number" => Failure::NotANumber.text(name),
                "the sum is out of range" => "ERR increment or decrement would overflow".to_owned(),
                why => format!("ERR {why}"),
            },
            Failure::Other(why) => (*why).to_owned(),
        }
    }
}

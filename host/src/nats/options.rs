//! Where NATS is, and who we are there: the flags `--topics…`.

use std::io;
use std::path::{Path, PathBuf};

use async_nats::ServerAddr;
use hotsocket_sandbox::topics::is_topic;

use crate::guest_file;

/// The longest prefix, in bytes; with a topic, no subject is longer than 321.
const MAX_PREFIX: usize = 64;
/// More is no file of credentials or of certificates, in bytes.
const MAX_FILE: usize = 1 << 20;
/// What such a file begins with, in a line of its own.
const CREDENTIALS: &str = "-----BEGIN NATS USER JWT-----";

/// See the module's documentation.
#[derive(Clone)]
pub struct NatsOptions {
    /// Without user and password, so they can be shown.
    servers: Vec<ServerAddr>,
    login: Login,
    /// What `--topics-credentials` names: read when the node starts.
    pub credentials: Option<PathBuf>,
    /// Certificates that the server's is signed with, as PEM; those of the system if none.
    pub ca: Option<PathBuf>,
    /// Subjects are `PREFIX.TOPIC`.
    pub prefix: String,
}

/// Not shown anywhere.
#[derive(Clone, PartialEq, Eq)]
enum Login {
    None,
    User(String, String),
    Token(String),
    /// A user's JWT and the seed of its key, as the file has them.
    Credentials(String),
}

/// What is wrong with them.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    #[error("{0:?} is no NATS server: nats://[USER:PASSWORD@]HOST[:PORT] or tls://…")]
    Server(String),
    #[error("one user for all NATS servers: name it with the first only, or the same with all")]
    Users,
    #[error(
        "{0:?} is no prefix: tokens without spaces, `*` and `>`, joined by dots, 64 bytes at most"
    )]
    Prefix(String),
    #[error("cannot read {}: {error}", path.display())]
    Read { path: PathBuf, error: String },
    #[error(
        "{} has neither NATS credentials (a .creds file) nor one line USER:PASSWORD or TOKEN",
        .0.display()
    )]
    Credentials(PathBuf),
}

impl NatsOptions {
    /// The prefix where none is named.
    pub const PREFIX: &'static str = "hotsocket";

    /// Servers as their URLs, joined by commas. A user without a password is a token.
    ///
    /// # Errors
    /// Names the one that is none.
    pub fn parse(urls: &str) -> Result<Self, OptionsError> {
        let mut options = NatsOptions {
            servers: Vec::new(),
            login: Login::None,
            credentials: None,
            ca: None,
            prefix: Self::PREFIX.to_owned(),
        };
        for url in urls.split(',').map(str::trim) {
            let (server, login) = parse_server(url)?;
            if login != Login::None && options.login != login {
                if !options.servers.is_empty() {
                    return Err(OptionsError::Users);
                }
                options.login = login;
            }
            options.servers.push(server);
        }
        Ok(options)
    }

    /// Check what can be checked before NATS is reached, and read the credentials.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn prepare(mut self) -> Result<Self, OptionsError> {
        if !is_topic(&self.prefix) || self.prefix.len() > MAX_PREFIX {
            return Err(OptionsError::Prefix(self.prefix));
        }
        if let Some(path) = &self.credentials {
            self.login = parse_credentials(path, &read(path)?)?;
        }
        if let Some(path) = &self.ca {
            read(path)?;
        }
        Ok(self)
    }

    /// For people: `HOST:PORT`, joined by commas.
    pub fn show(&self) -> String {
        let show = |server: &ServerAddr| match server.host() {
            host if host.contains(':') => format!("[{host}]:{}", server.port()),
            host => format!("{host}:{}", server.port()),
        };
        let shown: Vec<_> = self.servers.iter().map(show).collect();
        shown.join(",")
    }

    pub(super) fn servers(&self) -> Vec<ServerAddr> {
        self.servers.clone()
    }

    /// Add login and certificates to the client's options.
    ///
    /// # Errors
    /// When the credentials are damaged.
    pub(super) fn apply(
        &self,
        client: async_nats::ConnectOptions,
    ) -> Result<async_nats::ConnectOptions, OptionsError> {
        let client = match &self.login {
            Login::None => client,
            Login::User(user, password) => client.user_and_password(user.clone(), password.clone()),
            Login::Token(token) => client.token(token.clone()),
            Login::Credentials(text) => client.credentials(text).map_err(|_| {
                OptionsError::Credentials(self.credentials.clone().unwrap_or_default())
            })?,
        };
        Ok(match &self.ca {
            Some(ca) => client.add_root_certificates(ca.clone()),
            None => client,
        })
    }
}

impl std::fmt::Debug for NatsOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NatsOptions({}, {})", self.show(), self.prefix)
    }
}

fn parse_server(url: &str) -> Result<(ServerAddr, Login), OptionsError> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("nats", url));
    let (login, host) = match rest.rsplit_once('@') {
        Some((login, host)) => (Some(login), host),
        None => (None, rest),
    };
    // What is shown has no password.
    let invalid = || OptionsError::Server(format!("{scheme}://{host}"));
    if !matches!(scheme, "nats" | "tls") || host.is_empty() {
        return Err(invalid());
    }
    let server: ServerAddr = format!("{scheme}://{host}")
        .parse()
        .map_err(|_| invalid())?;
    let url = server.clone().into_inner();
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none();
    if server.host().is_empty() || !is_bare || url.fragment().is_some() {
        return Err(invalid());
    }
    let decode = |text: &str| decode(text).ok_or_else(invalid);
    let login = match login.map(|login| login.split_once(':').ok_or(login)) {
        None => Login::None,
        Some(Ok((user, password))) => Login::User(decode(user)?, decode(password)?),
        Some(Err(token)) => Login::Token(decode(token)?),
    };
    Ok((server, login))
}

/// Undo what keeps `@` and `/` in a password apart from those of the URL (RFC 3986,
/// section 2.1).
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high << 4 | low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// The text of a file, whatever stands in its place: a server that starts does not wait for
/// who writes into a FIFO.
fn read(path: &Path) -> Result<String, OptionsError> {
    let text = guest_file::read(path, MAX_FILE).and_then(|bytes| match bytes.len() > MAX_FILE {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => String::from_utf8(bytes).map_err(|_| io::Error::other("it is no text")),
    });
    text.map_err(|error| OptionsError::Read {
        path: path.to_owned(),
        error: crate::os_error::message(&error),
    })
}

fn parse_credentials(path: &Path, text: &str) -> Result<Login, OptionsError> {
    let invalid = || OptionsError::Credentials(path.to_owned());
    if text.lines().any(|line| line.trim() == CREDENTIALS) {
        let check = async_nats::ConnectOptions::new().credentials(text);
        return match check {
            Ok(_) => Ok(Login::Credentials(text.to_owned())),
            Err(_) => Err(invalid()),
        };
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    match (lines.next(), lines.next()) {
        (Some(line), None) => Ok(match line.split_once(':') {
            Some((user, password)) => Login::User(user.to_owned(), password.to_owned()),
            None => Login::Token(line.to_owned()),
        }),
        _ => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(user: &str, password: &str) -> Login {
        Login::User(user.to_owned(), password.to_owned())
    }

    #[test]
    fn servers_and_logins_are_read() {
        let options = NatsOptions::parse("nats://u:p%40s@a:1,tls://b,[::1]:5").expect("valid");
        assert_eq!(options.show(), "a:1,b:4222,[::1]:5");
        assert!(options.login == user("u", "p@s"));
        let options = NatsOptions::parse("nats://secret@a").expect("valid");
        assert!(options.login == Login::Token("secret".to_owned()));
        assert!(!format!("{options:?}").contains("secret"));
    }

    #[test]
    fn what_is_no_server_is_refused_without_its_password() {
        for urls in [
            "",
            "http://a",
            "nats://u:pass@",
            "nats://u:pass@a:99999",
            "a,",
            "nats://u:%zz@a",
            "nats://u:pass@a/path",
        ] {
            let error = NatsOptions::parse(urls).expect_err(urls).to_string();
            assert!(!error.contains("pass@"), "{error}");
        }
        assert!(NatsOptions::parse("nats://u:p@a,nats://v:p@b").is_err());
        assert!(NatsOptions::parse("nats://u:p@a,nats://u:p@b,c").is_ok());
    }

    #[test]
    fn prefixes_are_tokens() {
        for (prefix, is_valid) in [("a.b", true), ("a..b", false), ("a.*", false), ("", false)] {
            let mut options = NatsOptions::parse("a").expect("valid");
            options.prefix = prefix.to_owned();
            assert_eq!(options.prepare().is_ok(), is_valid, "{prefix}");
        }
    }

    #[test]
    fn nothing_but_a_file_is_read_and_no_one_is_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let fifo = dir.path().join("fifo");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).expect("a FIFO");
        let large = dir.path().join("large");
        std::fs::write(&large, vec![b'x'; MAX_FILE + 1]).expect("a file");
        for (path, why) in [
            (fifo, "it is a FIFO, not a regular file"),
            ("/dev/zero".into(), "it is a device, not a regular file"),
            (large, "file too large"),
        ] {
            let mut options = NatsOptions::parse("a").expect("valid");
            options.credentials = Some(path);
            let error = options.prepare().expect_err("no credentials").to_string();
            assert!(
                error.to_lowercase().ends_with(&why.to_lowercase()),
                "{error}"
            );
        }
    }

    #[test]
    fn a_file_has_a_user_a_token_or_credentials() {
        let path = Path::new("f");
        let parse = |text| parse_credentials(path, text);
        assert!(parse("u:p:q\n").is_ok_and(|it| it == user("u", "p:q")));
        assert!(parse("\n token \n").is_ok_and(|it| it == Login::Token("token".to_owned())));
        for text in ["", "a\nb\n", &format!("{CREDENTIALS}\nx\n")] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}

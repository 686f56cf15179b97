//! `hotsocket open`.
//!
//! Whatever is an argument of a program is seen by every user of the machine, in
//! `/proc/PID/cmdline`. So the browser is not given the link, which has the token in it, but
//! a file that only this user can read and that leads there.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Reply;
use super::status::ServerArgs;
use crate::control::client::{self, ClientError};
use crate::control::protocol::{AdminPlace, Request};
use crate::control::socket_path::{self, SocketPathError};
use crate::output::escape;

/// What opens a page in the browser that the user has chosen.
const OPENER: &str = if cfg!(target_os = "macos") {
    "open"
} else {
    "xdg-open"
};

/// How long a browser may take to read the file.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// How long the opener is waited for, and how often it is looked at.
const OPENER_TIME: Duration = Duration::from_secs(3);
const BEAT: Duration = Duration::from_millis(20);

/// Open the inspector of a running server in the browser, with its token
///
/// Where there is no desktop, its link is printed. Whoever has the link can do on the server
/// what you can.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the link instead
    #[arg(long)]
    print: bool,

    #[command(flatten)]
    pub(super) server: ServerArgs,
}

/// Why nothing is opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("cannot parse the server's answer; is the server of another version? ({0})")]
    Answer(#[from] serde_json::Error),
    #[error(
        "the admin address is {0}, which no browser opens; start the server with \
         `--admin 127.0.0.1:9300`, or ask with curl --unix-socket"
    )]
    NoBrowser(String),
    #[error(transparent)]
    Directory(#[from] SocketPathError),
    /// It goes into a page.
    #[error("the server has answered with a link that no browser should open")]
    Link,
    #[error("cannot write {}: {}; --print prints the link", .path.display(), crate::os_error::message(.error))]
    Write { path: PathBuf, error: io::Error },
    #[error("{OPENER} has failed ({0}); --print prints the link")]
    Opener(String),
}

pub fn run(args: &Args) -> Result<Reply, Error> {
    let answer = client::send(args.server.target(), &Request::Admin, &[])?;
    if args.server.json {
        return Ok(format!("{}\n", escape::json(&answer)).into());
    }
    let place: AdminPlace = serde_json::from_value(escape::one_line_each(answer))?;
    let Some(link) = place.link else {
        return Err(Error::NoBrowser(place.address));
    };
    if args.print || !has_desktop() {
        return Ok(format!("{link}\n").into());
    }
    if !is_plain(&link) {
        return Err(Error::Link);
    }
    let file = write_redirect(&socket_path::private_directory()?, &link)?;
    match start_opener(&file) {
        Ok(Some(status)) if !status.success() => Err(Error::Opener(status.to_string())),
        // Not even its success says that somebody sees a page.
        Ok(_) => Ok(format!(
            "opened http://{}/ in the browser; if nothing appears: `hotsocket open --print`\n",
            place.address
        )
        .into()),
        // There is a display, and nothing to open a page with.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(format!("{link}\n").into()),
        Err(error) => Err(Error::Opener(crate::os_error::message(&error))),
    }
}

/// How the opener has ended; `None` if it still runs, as one does that becomes the browser.
fn start_opener(file: &Path) -> io::Result<Option<ExitStatus>> {
    let mut opener = Command::new(OPENER)
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let began = Instant::now();
    loop {
        let ended = opener.try_wait()?;
        if ended.is_some() || began.elapsed() >= OPENER_TIME {
            return Ok(ended);
        }
        sleep(BEAT);
    }
}

/// Whether it is what servers answer with: nothing in it means something in HTML.
fn is_plain(link: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/[]#=%+*".contains(&byte);
    link.starts_with("http://") && link.bytes().all(is_plain)
}

fn has_desktop() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(target_os = "macos") || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY")
}

/// A file for the browser, which replaces those of earlier commands. It is left for it to
/// read: who can do so can ask the server for the token as well.
fn write_redirect(directory: &Path, link: &str) -> Result<PathBuf, Error> {
    remove_old(directory);
    let path = directory.join(format!("open-{}.html", std::process::id()));
    let written = || {
        // One that a process with the same number has left behind.
        let _ = fs::remove_file(&path);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        write!(
            file,
            "<!doctype html>\n<meta charset=\"utf-8\">\n<title>hotsocket</title>\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <meta http-equiv=\"refresh\" content=\"0;url={link}\">\n\
             <a href=\"{link}\">The inspector</a>\n"
        )
    };
    match written() {
        Ok(()) => Ok(path),
        Err(error) => Err(Error::Write { path, error }),
    }
}

fn remove_old(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_ours = name.as_encoded_bytes().starts_with(b"open-")
            && Path::new(&name).extension() == Some(OsStr::new("html"));
        let age = entry.metadata().and_then(|found| found.modified());
        let age = age.ok().and_then(|modified| modified.elapsed().ok());
        if is_ours && age.is_some_and(|age| age > KEPT_FOR) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_link_gets_into_a_page() {
        assert!(is_plain("http://127.0.0.1:9300/#token=0123abcd%2B*-._"));
        assert!(is_plain("http://[::1]:9300/#token=x+y"));
        for wrong in [
            "javascript:alert(1)",
            "http://127.0.0.1/#\"><script>",
            "http://a b",
            "",
        ] {
            assert!(!is_plain(wrong), "{wrong}");
        }
    }
}

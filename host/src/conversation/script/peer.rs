//! The parser of the step `peer`: what is known of a peer before it connects.

use hotsocket_sandbox::UnixPeer;

use super::line::Line;
use crate::conversation::facts::{Fact, TlsVersion};

const FORMS: &str = "`peer` takes address IP:PORT, unix UID GID PID, listener \"NAME\", start-tls, tls TLSv1.3, \
                     server-name \"NAME\", protocol \"NAME\", certificate BYTES, proxy IP:PORT or \
                     extension TYPE BYTES";

/// Parse the rest of a line.
pub(super) fn parse(line: &mut Line<'_>) -> Result<Fact, String> {
    Ok(match line.word() {
        "address" => Fact::Address(address(line)?),
        "proxy" => Fact::Proxy(address(line)?),
        "unix" => Fact::Unix(UnixPeer {
            uid: id(line)?,
            gid: id(line)?,
            pid: match line.is_empty() {
                true => None,
                false => Some(id(line)?),
            },
        }),
        "listener" => Fact::Listener(text(line, "`peer listener`")?),
        "start-tls" => Fact::MayStartTls,
        "tls" => Fact::Tls(match line.word() {
            "" | "TLSv1.3" => TlsVersion::V1_3,
            "TLSv1.2" => TlsVersion::V1_2,
            other => return Err(format!("{other} is neither TLSv1.3 nor TLSv1.2")),
        }),
        "server-name" => Fact::ServerName(text(line, "`peer server-name`")?),
        "protocol" => Fact::Protocol(text(line, "`peer protocol`")?.into_bytes()),
        "certificate" => Fact::Certificate(line.payload("peer certificate")?),
        "extension" => {
            let kind = line.word();
            let hex = kind.strip_prefix("0x");
            let kind = hex.map_or_else(|| kind.parse(), |hex| u8::from_str_radix(hex, 16));
            let kind = kind.map_err(|_| "the type of an extension is 0 to 255, or 0x00 to 0xff")?;
            Fact::Extension(kind, line.payload("peer extension")?)
        }
        _ => return Err(FORMS.to_owned()),
    })
}

fn address(line: &mut Line<'_>) -> Result<std::net::SocketAddr, String> {
    let address = line.word();
    address
        .parse()
        .map_err(|_| format!("{address:?} is no address such as 192.0.2.1:5000"))
}

fn id<T: std::str::FromStr>(line: &mut Line<'_>) -> Result<T, String> {
    let id = line.word();
    id.parse()
        .map_err(|_| format!("{id:?} is no number of a user, group or process"))
}

fn text(line: &mut Line<'_>, what: &str) -> Result<String, String> {
    let text = line.text(what)?;
    text.ok_or_else(|| format!("{what} takes a \"name\" in quotes"))
}

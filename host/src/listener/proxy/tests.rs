//! What is a header, what is none, and what is said of that.

use std::io::Cursor;

use super::header::*;
use super::{v1, v2};

fn whole(bytes: &[u8]) -> Header {
    match parse(bytes) {
        Ok(Progress::Whole(header)) => header,
        other => panic!("{:?}: {other:?}", bytes.escape_ascii().to_string()),
    }
}

fn refused(bytes: &[u8]) -> String {
    match parse(bytes) {
        Err(error) => error.to_string(),
        Ok(progress) => panic!("{:?}: {progress:?}", bytes.escape_ascii().to_string()),
    }
}

fn ip(peer: &str, local: &str) -> Command {
    Command::Proxy(Addresses::Ip {
        peer: peer.parse().expect(peer),
        local: local.parse().expect(local),
    })
}

fn seed(name: &str) -> Vec<u8> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/proxy_header/");
    let mut bytes = std::fs::read(format!("{dir}{name}")).expect(name);
    if bytes.ends_with(b"hello") {
        bytes.truncate(bytes.len() - 5);
    }
    bytes
}

fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut header = SIGNATURE_V2.to_vec();
    header.extend([0x20 | command, family]);
    header.extend((body.len() as u16).to_be_bytes());
    header.extend(body);
    header
}

#[test]
fn headers_of_version_1() {
    let header = whole(&seed("v1_tcp4"));
    assert_eq!(header.version, 1);
    assert_eq!(header.command, ip("192.0.2.1:50000", "10.0.0.1:443"));
    let header = whole(&seed("v1_tcp6"));
    assert_eq!(header.command, ip("[2001:db8::1]:50000", "[::1]:443"));
    for unknown in ["v1_unknown", "v1_long"] {
        let header = whole(&seed(unknown));
        assert_eq!(header.command, Command::Proxy(Addresses::Unknown));
    }
    assert_eq!(seed("v1_long").len(), v1::MAX);
    whole(b"PROXY UNKNOWN\r\n");
    whole(b"PROXY TCP4 1.1.1.1 2.2.2.2 0 65535\r\n");
}

#[test]
fn what_is_no_header_of_version_1() {
    for (line, error) in [
        (
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
            "more than six fields",
        ),
        ("PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n", "an address"),
        ("PROXY TCP4 ::1 ::1 1 2\r\n", "an address"),
        ("PROXY TCP4 1.1.1.1\r\n", "an address"),
        ("PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n", "an address"),
        ("PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n", "an address"),
        ("PROXY TCP6 fe80::1%1 ::2 1 2\r\n", "an address"),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n", "a port"),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n", "a port"),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n", "a port"),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", "a port"),
        ("PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n", "none of TCP4"),
        ("PROXY \r\n", "none of TCP4"),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rx", "\\n does not follow"),
        ("PROXIED", "no PROXY header but with \"PROXIED\""),
        ("proxy TCP4", "no PROXY header but with \"proxy TCP4\""),
    ] {
        assert!(refused(line.as_bytes()).contains(error), "{line:?}");
    }
    let endless = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 92]].concat();
    assert!(refused(&endless).contains("longer than 107 bytes"));
    let long = [endless.get(..106).expect("bytes"), b"\r"].concat();
    assert!(refused(&long).contains("longer than 107 bytes"));
}

#[test]
fn headers_of_version_2() {
    let header = whole(&seed("v2_tcp4"));
    assert_eq!(header.version, 2);
    assert_eq!(header.command, ip("192.0.2.1:50000", "10.0.0.1:443"));
    assert_eq!(whole(&seed("v2_local")).command, Command::Local);
    let unix = whole(&seed("v2_unix"));
    assert_eq!(unix.command, Command::Proxy(Addresses::Unix));
    let unknown = whole(&v2(1, 0, b"\xe0\0\x02hi"));
    assert_eq!(unknown.command, Command::Proxy(Addresses::Unknown));
    assert_eq!(unknown.extensions, [(0xe0, b"hi".to_vec())]);
    // LOCAL says nothing, whatever follows.
    whole(&v2(0, 0x77, b"garbage"));
    for with_extensions in ["v2_extensions", "v2_checksum"] {
        let header = whole(&seed(with_extensions));
        assert_eq!(header.command, ip("[::1]:1", "[::2]:65535"));
        let kinds: Vec<_> = header.extensions.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [1, 2, 5, 0x20, 0x30, 0xe0]);
        assert_eq!(header.extensions[1].1, b"example.org");
    }
}

#[test]
fn what_is_no_header_of_version_2() {
    let v4 = [0; 12];
    let with = |more: &[u8]| v2(1, 0x11, &[v4.as_slice(), more].concat());
    let mut version = v2(1, 0x11, &v4);
    version[12] = 0x11;
    let mut checksum = seed("v2_checksum");
    checksum[20] ^= 1;
    let many = [0xe0, 0, 0].repeat(65);
    let long = [b"\x05\0\x81".as_slice(), &[b'x'; 129]].concat();
    for (header, error) in [
        (version, "a version other than 2"),
        (v2(2, 0x11, &v4), "a command other than"),
        (v2(1, 0x12, &v4), "datagrams"),
        (v2(1, 0x41, &v4), "unknown family"),
        (v2(1, 0x11, &v4[1..]), "less bytes than its addresses"),
        (v2(1, 0x21, &v4), "less bytes than its addresses"),
        (v2(1, 0x31, &v4), "less bytes than its addresses"),
        (with(b"\x01"), "longer than it"),
        (with(b"\x01\0\x05abc"), "longer than it"),
        (with(b"\x20\0\x01\0"), "about TLS"),
        (with(b"\x20\0\x08\0\0\0\0\0\x21\0\x09"), "longer than it"),
        (with(b"\x03\0\x02ab"), "not 4 bytes"),
        (
            with(b"\x03\0\x04abcd"),
            "checksum of the PROXY header is wrong",
        ),
        (checksum, "checksum of the PROXY header is wrong"),
        (with(&long), "more than 128 bytes"),
        (with(&many), "more than 64 extensions"),
    ] {
        let said = refused(&header);
        assert!(said.contains(error), "{said}, not {error}");
    }
    let long = v2(1, 0x11, &[0; 4097]);
    let error = refused(long.get(..16).expect("its beginning"));
    assert!(
        error.contains("has 4113 bytes, and 4112 are allowed"),
        "{error}"
    );
    assert_eq!(v2::MAX, 4112);
}

#[test]
fn a_header_is_read_to_its_end_and_no_further() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/proxy_header/");
    for name in [
        "v1_tcp4",
        "v1_tcp6",
        "v1_unknown",
        "v2_tcp4",
        "v2_local",
        "v2_checksum",
    ] {
        let bytes = std::fs::read(format!("{dir}{name}")).expect(name);
        let mut rest = Cursor::new(&bytes);
        let mut read = Vec::new();
        let mut reads = 0;
        while let Ok(Progress::Needs(missing)) = parse(&read) {
            let mut piece = vec![0; missing];
            std::io::Read::read_exact(&mut rest, &mut piece).expect("it is there");
            read.extend(piece);
            reads += 1;
        }
        assert_eq!(&bytes[read.len()..], b"hello", "{name}");
        assert!(reads <= 10, "{name}: {reads} reads");
    }
}

//! Bytes for the client, in either version of the protocol.

/// Replies that have not been sent.
pub struct Out {
    bytes: Vec<u8>,
    pub is_resp3: bool,
}

impl Out {
    pub fn new(is_resp3: bool) -> Self {
        Out {
            bytes: Vec::new(),
            is_resp3,
        }
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Make room for so many bytes at once.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    pub fn ok(&mut self) {
        self.bytes.extend_from_slice(b"+OK\r\n");
    }

    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// It begins with a word in capitals that programs read.
    pub fn error(&mut self, text: &str) {
        let text = text.replace(['\r', '\n'], " ");
        self.line(b'-', text.as_bytes());
    }

    pub fn integer(&mut self, number: i64) {
        if let 0..=9 = number {
            self.bytes
                .extend_from_slice(&[b':', b'0' + number as u8, b'\r', b'\n']);
            return;
        }
        self.line(b':', number.to_string().as_bytes());
    }

    pub fn bulk(&mut self, bytes: &[u8]) {
        self.head(b'$', bytes.len());
        self.bytes.extend_from_slice(bytes);
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub fn bulk_or_null(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }

    pub fn null(&mut self) {
        let null: &[u8] = if self.is_resp3 { b"_\r\n" } else { b"$-1\r\n" };
        self.bytes.extend_from_slice(null);
    }

    /// So many values follow.
    pub fn array(&mut self, count: usize) {
        self.head(b'*', count);
    }

    /// So many pairs follow.
    pub fn map(&mut self, count: usize) {
        match self.is_resp3 {
            true => self.head(b'%', count),
            false => self.head(b'*', 2 * count),
        }
    }

    /// So many values follow that nobody has asked for.
    pub fn push(&mut self, count: usize) {
        let kind = if self.is_resp3 { b'>' } else { b'*' };
        self.head(kind, count);
    }

    fn head(&mut self, kind: u8, count: usize) {
        self.bytes.push(kind);
        // Most are short, and `to_string` allocates.
        match count {
            0..=9 => self.bytes.push(b'0' + count as u8),
            10..=99 => {
                let digits = [b'0' + (count / 10) as u8, b'0' + (count % 10) as u8];
                self.bytes.extend_from_slice(&digits);
            }
            _ => self.bytes.extend_from_slice(count.to_string().as_bytes()),
        }
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(text);
        self.bytes.extend_from_slice(b"\r\n");
    }
}

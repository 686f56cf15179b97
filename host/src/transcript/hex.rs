//! Bytes in hex and as text, side by side: 16 in a line, as `hexdump -C` and Wireshark
//! have them.

use std::fmt::Write as _;

const WIDTH: usize = 16;

/// Each line without its newline.
pub fn lines(bytes: &[u8], mut show: impl FnMut(&str)) {
    for (number, row) in bytes.chunks(WIDTH).enumerate() {
        let mut line = format!("{:08x} ", number * WIDTH);
        for at in 0..WIDTH {
            let gap = if at == WIDTH / 2 { "  " } else { " " };
            // Writing to a string does not fail.
            let _ = match row.get(at) {
                Some(byte) => write!(line, "{gap}{byte:02x}"),
                None => write!(line, "{gap}  "),
            };
        }
        let text = row.iter().map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        });
        let _ = write!(line, "  |{}|", text.collect::<String>());
        show(&line);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sixteen_in_a_line() {
        let mut shown = Vec::new();
        let bytes: Vec<u8> = (b'a'..=b'q').collect();
        super::lines(&bytes, |line| shown.push(line.to_owned()));
        assert_eq!(
            shown,
            [
                "00000000  61 62 63 64 65 66 67 68  69 6a 6b 6c 6d 6e 6f 70  |abcdefghijklmnop|",
                "00000010  71                                                |q|",
            ]
        );
    }
}

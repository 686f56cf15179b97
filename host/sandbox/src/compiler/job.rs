//! What a server asks of the process that compiles for it, as that process'
//! arguments, and how it answers.

use std::ffi::OsString;
use std::path::PathBuf;

/// How the engine that runs the code has its memories. It decides what the
/// compiler may leave out of the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// In a pool: each has all addresses that it could ever use.
    Pooled,
    /// Allocated one by one, with as many addresses as each needs.
    OnDemand,
}

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The process that waits for the answer. Without it there is nothing to do.
    pub parent: u32,
    /// Of the component, in bytes.
    pub length: u64,
    /// Limit of the address space, and of what is written, in bytes.
    pub memory: u64,
    /// Limit of CPU time.
    pub cpu_seconds: u64,
    pub strategy: Strategy,
    /// Stack of a guest, in bytes.
    pub max_stack: usize,
    /// Name of the code's file in the cache; its end names the engine's
    /// configuration.
    pub name: String,
    /// Where functions of large components are kept.
    pub functions: Option<PathBuf>,
}

/// First byte of an answer that is a reason, before its text. Code begins as an
/// ELF file does, with 0x7f.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// The component is truncated; without a text.
    Truncated = b'T',
    /// The compiler does not take the component.
    Compile = b'C',
    /// It takes more memory than there may be; without a text.
    Memory = b'M',
    /// Anything else that is wrong with the component.
    Other = b'O',
}

impl Reason {
    pub const fn byte(self) -> u8 {
        self as u8
    }

    pub fn from_byte(byte: u8) -> Option<Self> {
        use Reason::*;
        let mut all = [Truncated, Compile, Memory, Other].into_iter();
        all.find(|reason| reason.byte() == byte)
    }
}

impl Job {
    pub fn to_args(&self) -> Vec<OsString> {
        let strategy = match self.strategy {
            Strategy::Pooled => "pooled",
            Strategy::OnDemand => "on-demand",
        };
        let mut args: Vec<OsString> = [
            self.parent.to_string(),
            self.length.to_string(),
            self.memory.to_string(),
            self.cpu_seconds.to_string(),
            strategy.to_owned(),
            self.max_stack.to_string(),
            self.name.clone(),
        ]
        .map(OsString::from)
        .into();
        args.extend(self.functions.clone().map(PathBuf::into_os_string));
        args
    }

    /// `None` if these are not the arguments of a job.
    pub fn from_args(mut args: impl Iterator<Item = OsString>) -> Option<Self> {
        let mut next = || args.next()?.into_string().ok();
        Some(Job {
            parent: next()?.parse().ok()?,
            length: next()?.parse().ok()?,
            memory: next()?.parse().ok()?,
            cpu_seconds: next()?.parse().ok()?,
            strategy: match next()?.as_str() {
                "pooled" => Strategy::Pooled,
                "on-demand" => Strategy::OnDemand,
                _ => return None,
            },
            max_stack: next()?.parse().ok()?,
            name: next()?,
            functions: args.next().map(PathBuf::from),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_survives_as_arguments() {
        for functions in [None, Some(PathBuf::from("/a b/functions"))] {
            let job = Job {
                parent: 1,
                length: 2,
                memory: 3,
                cpu_seconds: 4,
                strategy: Strategy::OnDemand,
                max_stack: 5,
                name: "name".to_owned(),
                functions,
            };
            assert_eq!(Job::from_args(job.to_args().into_iter()), Some(job));
        }
        assert_eq!(Job::from_args(["1".into()].into_iter()), None);
    }
}

//! File descriptors: every connection takes one, and one for each directory that its guest may
//! use.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors kept for everything that is not a connection.
const RESERVED: u64 = 64;

/// The limit of this process before it was raised.
static INHERITED: OnceLock<Rlimit> = OnceLock::new();

/// Raise the soft limit of open files to the hard one, and lower the `max_connections` of
/// all services to what fits in it together, with a warning. With each comes how many
/// descriptors one connection takes.
pub fn raise_limit<'a>(max_connections: impl Iterator<Item = (&'a mut usize, usize)>) {
    let limit = *INHERITED.get_or_init(|| getrlimit(Resource::Nofile));
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Always allowed (getrlimit(2)). If it fails all the same, the limit that is
    // read next is the old one.
    let _ = setrlimit(Resource::Nofile, raised);
    let Some(files) = getrlimit(Resource::Nofile).current else {
        return;
    };
    let fitting = usize::try_from(files.saturating_sub(RESERVED))
        .unwrap_or(usize::MAX)
        .max(1);
    let mut all: Vec<_> = max_connections.collect();
    let before = together(&all);
    if let Some(needed) = lower(&mut all, fitting) {
        let of_all = match all.len() {
            0 | 1 => "",
            _ => " of all services together",
        };
        tracing::warn!(
            kind = "limit",
            limit = "descriptors",
            "--max-connections{of_all} is lowered from {before} to {}: this process may open \
             {files} files; raise that with `ulimit -n {}`",
            together(&all),
            (needed as u64).saturating_add(RESERVED)
        );
    }
}

fn together(all: &[(&mut usize, usize)]) -> usize {
    all.iter()
        .fold(0, |sum: usize, (max, _)| sum.saturating_add(**max))
}

/// Lower limits to what fits into so many descriptors. How many would be needed, if that is
/// more.
fn lower(all: &mut [(&mut usize, usize)], fitting: usize) -> Option<usize> {
    let needed = all.iter().fold(0, |sum: usize, (max, each)| {
        sum.saturating_add(max.saturating_mul(*each))
    });
    if needed <= fitting {
        return None;
    }
    for (max, _) in all {
        **max = share(**max, fitting, needed);
    }
    Some(needed)
}

/// What is left of a limit when all of them together are lowered.
fn share(of: usize, fitting: usize, together: usize) -> usize {
    let share = of as u128 * fitting as u128 / together.max(1) as u128;
    usize::try_from(share).unwrap_or(usize::MAX).max(1)
}

/// Let a program have the limit that this process was started with: some programs close
/// every descriptor that they may have, or reserve memory for each.
pub fn inherit_limit(command: &mut Command) -> &mut Command {
    let Some(limit) = INHERITED.get().copied() else {
        return command;
    };
    let restore = move || setrlimit(Resource::Nofile, limit).map_err(Into::into);
    // SAFETY: between fork and exec, the closure makes one system call (prlimit(2)) with a
    // value that it owns: it allocates nothing and takes no lock, as signal-safety(7) and
    // `pre_exec` demand.
    unsafe { command.pre_exec(restore) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_share_what_fits_in_proportion() {
        assert_eq!(share(10_000, 4000, 10_000), 4000);
        assert_eq!(share(3000, 2000, 4000), 1500);
        assert_eq!(share(1, 2, 4000), 1);
        assert_eq!(share(usize::MAX, 5, usize::MAX), 5);
    }

    #[test]
    fn directories_count() {
        let (mut plain, mut with_dirs) = (1000, 1000);
        let fit = |plain: &mut usize, with_dirs: &mut usize, fitting| {
            lower(&mut [(plain, 1), (with_dirs, 3)], fitting)
        };
        assert_eq!(fit(&mut plain, &mut with_dirs, 4000), None);
        assert_eq!(fit(&mut plain, &mut with_dirs, 2000), Some(4000));
        assert_eq!((plain, with_dirs), (500, 500));
    }

    #[test]
    fn programs_get_the_limit_from_before() {
        let before = getrlimit(Resource::Nofile);
        let asked = |command: &mut Command| {
            let output = command
                .args(["-c", "ulimit -S -n"])
                .output()
                .expect("a shell");
            String::from_utf8(output.stdout).expect("a number")
        };
        let fresh = asked(&mut Command::new("sh"));
        raise_limit(std::iter::once((&mut 1, 1)));
        assert_eq!(asked(inherit_limit(&mut Command::new("sh"))), fresh);
        // Other tests of this process may have been under way, but they need no more.
        let _ = setrlimit(Resource::Nofile, before);
    }
}

//! Says to systemd, or to another supervisor with its protocol, that a server is ready,
//! that it stops, and that it still runs (sd_notify(3)); to nobody without
//! `NOTIFY_SOCKET`.

use std::convert::Infallible;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::JoinHandle;
use tokio::time::interval;

/// A server that is ready, until this is dropped.
pub(super) struct Supervisor {
    /// Says that the server runs, where `WatchdogSec=` asks for it.
    watchdog: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// The server accepts connections.
    pub(super) fn ready() -> Self {
        notify(&[NotifyState::Ready, NotifyState::Status("serving")]);
        let mut period = 0;
        let watchdog = sd_notify::watchdog_enabled(false, &mut period).then(|| {
            // Twice in the time, as sd_watchdog_enabled(3) recommends. From a task of the
            // threads that serve: if they hang, so does this.
            let mut beat =
                interval(Duration::from_micros(period / 2).max(Duration::from_millis(1)));
            tokio::spawn(async move {
                loop {
                    beat.tick().await;
                    notify(&[NotifyState::Watchdog]);
                }
            })
        });
        Supervisor { watchdog }
    }

    /// The server reads its configuration again; [`Self::reloaded`] in the end, whether it
    /// was valid or not, or was not waited for. systemd wants the time as well (`Type=notify-reload`,
    /// systemd.service(5)).
    pub(super) fn reloading(&self) {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            notify(&[NotifyState::Reloading, now]);
        }
    }

    pub(super) fn reloaded(&self, drains: bool) {
        let status = NotifyState::Status("serving");
        match drains {
            // What it says while it drains stays.
            true => notify(&[NotifyState::Ready]),
            false => notify(&[NotifyState::Ready, status]),
        }
    }

    /// The server closes its connections, which takes a while. It must still beat. Only
    /// now: from here on systemd counts `TimeoutStopSec=`, and a drain may take longer.
    pub(super) fn stopping(&self) {
        notify(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
    }

    /// Say again and again how many connections are left.
    pub(super) async fn show_left(&self, what: &str, left: impl Fn() -> usize) -> Infallible {
        let mut said = None;
        let mut second = interval(Duration::from_secs(1));
        loop {
            second.tick().await;
            let left = left();
            if said.replace(left) != Some(left) {
                let status = format!("{what}: {left} connections left");
                notify(&[NotifyState::Status(&status)]);
            }
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if let Some(watchdog) = &self.watchdog {
            watchdog.abort();
        }
    }
}

fn notify(state: &[NotifyState<'_>]) {
    // A supervisor that can't be reached doesn't stop the server.
    if let Err(error) = sd_notify::notify(false, state) {
        tracing::debug!("cannot reach the supervisor at NOTIFY_SOCKET: {error}");
    }
}

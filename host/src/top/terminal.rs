//! The loop of `top` on a terminal. A thread asks the server, so that keys work while it
//! does not answer. However the loop ends, the terminal is as it was before.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use parking_lot::Mutex;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::signal::unix::{SignalKind, signal};

use super::keys::{Settings, Wish};
use super::look::{Look, LookError, Question, Rates, Server};
use super::screen;
use super::table::View;
use crate::output::escape::one_line;

/// How long a key or an answer may wait to be seen.
const BEAT: Duration = Duration::from_millis(50);

/// Rows that are asked for beyond those that fit.
const MORE_ROWS: usize = 20;

/// What the thread that asks needs to know.
struct Asked {
    settings: Settings,
    rows: usize,
}

/// Show the server until the user has seen enough.
///
/// # Errors
/// When the first look fails, or the terminal does.
pub fn run(server: Server, question: Question, interval: Duration) -> Result<(), TopError> {
    let first = server.look(&question)?;
    let settings = Settings {
        question,
        view: View::default(),
        interval,
        is_paused: false,
        offset: 0,
        typing: None,
    };
    let is_over = watch_signals();
    let terminal = ratatui::try_init()?;
    // A panic restores the terminal as well: `try_init` has seen to that.
    let shown = show(terminal, server, settings, first, &is_over);
    ratatui::restore();
    shown
}

/// Why it ended.
#[derive(Debug, thiserror::Error)]
pub enum TopError {
    #[error(transparent)]
    Look(#[from] LookError),
    #[error("cannot use the terminal: {0}")]
    Terminal(#[from] io::Error),
}

/// Becomes true when a signal asks to end: keys are no signals in raw mode, others may
/// still send them. When this returns, a signal ends the process no more: the terminal has
/// to be restored.
fn watch_signals() -> Arc<AtomicBool> {
    let is_over = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&is_over);
    let (begins, begun) = sync_channel::<Infallible>(0);
    let wait = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        runtime.block_on(async {
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            let mut hangup = signal(SignalKind::hangup())?;
            drop(begins);
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            seen.store(true, Ordering::Relaxed);
            io::Result::Ok(())
        })
    };
    // Without the thread signals end the process as they always do.
    let _ = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(wait);
    // Dropped by the thread, or with it.
    let _ = begun.recv();
    is_over
}

fn show(
    mut terminal: DefaultTerminal,
    server: Server,
    settings: Settings,
    first: Look,
    is_over: &AtomicBool,
) -> Result<(), TopError> {
    let mut rows = usize::from(terminal.size()?.height);
    let asked = Arc::new(Mutex::new(Asked {
        settings: settings.clone(),
        rows,
    }));
    let (answers, answered) = sync_channel(1);
    let (wake, woken) = sync_channel(1);
    let of_thread = Arc::clone(&asked);
    std::thread::Builder::new()
        .name("ask".to_owned())
        .spawn(move || ask(&server, &of_thread, &answers, &woken))?;
    let mut settings = settings;
    let (mut look, mut rates, mut away) = (first, Rates::default(), None);
    let mut must_draw = true;
    loop {
        if must_draw {
            let mut offset = 0;
            let draw = |frame: &mut ratatui::Frame<'_>| {
                (rows, offset) = screen::draw(frame, &settings, &look, &rates, away.as_deref());
            };
            terminal.draw(draw)?;
            settings.offset = offset;
            let mut asked = asked.lock();
            asked.rows = rows;
            asked.settings.offset = offset;
        }
        must_draw = false;
        if is_over.load(Ordering::Relaxed) {
            return Ok(());
        }
        if event::poll(BEAT)? {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => {
                    match settings.press(key, rows) {
                        Wish::Quit => return Ok(()),
                        Wish::Nothing => {}
                        wish => {
                            must_draw = true;
                            asked.lock().settings = settings.clone();
                            if wish == Wish::Ask {
                                // If it is full, the thread is about to ask anyway.
                                let _ = wake.try_send(());
                            }
                        }
                    }
                }
                Event::Resize(..) => must_draw = true,
                _ => {}
            }
        }
        match answered.try_recv() {
            Ok(Ok(now)) => {
                rates = Rates::between(&look, &now);
                (look, away) = (*now, None);
                must_draw = true;
            }
            Ok(Err(error)) => {
                away = Some(error);
                must_draw = true;
            }
            Err(_) => {}
        }
    }
}

/// What a look came to: why there was none is shown as it is.
type Answer = Result<Box<Look>, String>;

/// Look at the server at each interval, and whenever woken, until nobody wants it.
fn ask(server: &Server, asked: &Mutex<Asked>, answers: &SyncSender<Answer>, woken: &Receiver<()>) {
    loop {
        let interval = asked.lock().settings.interval;
        if let Err(RecvTimeoutError::Disconnected) = woken.recv_timeout(interval) {
            return;
        }
        let question = {
            let Asked { settings, rows } = &*asked.lock();
            if settings.is_paused {
                continue;
            }
            Question {
                rows: rows + settings.offset + MORE_ROWS,
                ..settings.question.clone()
            }
        };
        let look = server.look(&question);
        let answer = match look {
            Ok(look) => Ok(Box::new(look)),
            Err(error) => Err(one_line(&error.to_string()).into_owned()),
        };
        if answers.send(answer).is_err() {
            return;
        }
    }
}

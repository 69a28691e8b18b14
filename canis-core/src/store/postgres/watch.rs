//! Noticing what other servers change: they say so (NOTIFY), and twice a second it is asked, for what is said may get
//! lost. What is in memory carries the generation that it was read under, and is read again when that has moved.

use super::connection::Database;
use super::memory::Memory;
use super::migrate::known;
use super::transaction::Moments;
use crate::store::Change;
use canis_proto::{Id, Result};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_postgres::{AsyncMessage, SimpleQueryMessage};

/// How often it is asked. With the time of the question itself, a change is noticed within a second.
const ASK: Duration = Duration::from_millis(400);
/// How long an answer that may tell of this server's own change is put off, and how often.
const PUT_OFF: (Duration, usize) = (Duration::from_millis(10), 20);
/// How long a question may take.
const ANSWER: Duration = Duration::from_secs(2);

/// What is known of the store's moments.
pub(super) struct Watch {
    generation: AtomicU64,
    credentials: AtomicU64,
    known: Mutex<Known>,
    /// How many transactions of this server have the writers' lock, or had it and do not know their end: one or none.
    writing: AtomicUsize,
    said: Notify,
    /// How long what is in memory goes on without the database.
    grace: Duration,
    /// The store is not used here.
    unusable: AtomicBool,
}

/// A transaction of this server, from the writers' lock to its known end.
pub(super) struct Writing<'a>(&'a Watch);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.writing.fetch_sub(1, Ordering::AcqRel);
    }
}

struct Known {
    moments: Moments,
    /// When the database was last asked with success.
    asked: Instant,
    /// The last answer was of before what is known: it was under way while this server committed, or the database is an
    /// older copy.
    older: bool,
    /// It does not answer.
    away: bool,
    /// It has been away for longer than what is in memory may go on.
    lost: bool,
    memory: Memory,
}

/// What is asked again and again; the third column is whether the store is used elsewhere, or needs a newer CANIS.
fn question() -> String {
    format!(
        "SELECT changes, credentials, EXISTS (SELECT 1 FROM moves WHERE state <> 'leaving')
         OR EXISTS (SELECT 1 FROM canis_schema WHERE coalesce(needs, step) > {}) FROM moments",
        known()
    )
}

impl Watch {
    /// Looks once, and then goes on until the database is dropped.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub(super) fn start(database: &Arc<Database>) -> Result<Arc<Self>> {
        let moments = Moments { changes: 0, credentials: 0 };
        let asked = Instant::now();
        let known =
            Known { moments, asked, older: false, away: false, lost: false, memory: Memory::default() };
        let watch = Arc::new(Watch {
            generation: AtomicU64::new(1),
            credentials: AtomicU64::new(0),
            known: Mutex::new(known),
            writing: AtomicUsize::new(0),
            said: Notify::new(),
            grace: database.settings.grace,
            unusable: AtomicBool::new(false),
        });
        database.wait(watch.look(database))?;
        let handle = database.handle()?;
        handle.spawn(ask(Arc::downgrade(&watch), Arc::downgrade(database)));
        handle.spawn(listen(Arc::downgrade(&watch), Arc::downgrade(database)));
        Ok(watch)
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn credentials(&self) -> u64 {
        self.credentials.load(Ordering::Acquire)
    }

    /// Whether the store is not used here, as far as is known: it was moved elsewhere, or a newer CANIS has migrated it.
    pub(super) fn is_unusable(&self) -> bool {
        self.unusable.load(Ordering::Acquire)
    }

    /// Counts a change of this server.
    pub(super) fn count(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// The same, and these rows are not what they were.
    pub(super) fn count_own(&self, changes: &[Change]) {
        let mut known = self.known();
        self.count();
        known.memory.own(changes, self.generation());
    }

    /// Whether the database is away, and not for longer than what is in memory goes on.
    pub(super) fn goes_on(&self) -> bool {
        let known = self.known();
        !self.is_unusable() && known.goes_on(self.grace)
    }

    /// Whether what was read under this generation about these rows is still to be used without the database.
    pub(super) fn stands(&self, generation: u64, ids: &[Id]) -> bool {
        let mut known = self.known();
        !self.is_unusable()
            && known.goes_on(self.grace)
            && known.memory.stands(Instant::now(), self.grace, generation, ids)
    }

    /// How many changes of credentials by others need not be heeded yet; `None` unless memory goes on.
    pub(super) fn unheeded_credentials(&self) -> Option<u64> {
        let mut known = self.known();
        (!self.is_unusable() && known.goes_on(self.grace))
            .then(|| known.memory.unheeded(Instant::now(), self.grace))
    }

    /// The database seems to be away: it is asked at once whether it is.
    pub(super) fn suspect(&self) {
        self.known().away = true;
        self.said.notify_one();
    }

    /// This server has the writers' lock: what is new until this is dropped is its own change.
    pub(super) fn writing(&self) -> Writing<'_> {
        self.writing.fetch_add(1, Ordering::AcqRel);
        Writing(self)
    }

    /// This server has committed, and these are the moments since; unknown where the answer was lost.
    pub(super) fn committed(&self, moments: Option<Moments>, of_credentials: bool) {
        let Some(moments) = moments else { return };
        let mut known = self.known();
        // Whoever else changed credentials in between; own changes are known to who made them.
        let others = moments.credentials != known.moments.credentials + u64::from(of_credentials);
        if others {
            self.credentials.fetch_add(1, Ordering::Release);
        }
        if others || moments.changes != known.moments.changes + 1 {
            known.memory.notice(Instant::now(), self.generation() + 1, others);
        }
        (known.moments, known.older) = (moments, false);
    }

    /// Whether it was asked a moment ago.
    pub(super) fn is_fresh(&self) -> bool {
        self.known().asked.elapsed() < ASK * 2
    }

    /// Asks the database. What this server has just changed itself is no news: it is waited for a little, until that is known.
    pub(super) async fn look(&self, database: &Database) -> Result<()> {
        let connection = database.connection_aside().await?;
        let question = question();
        for again in 0.. {
            let asked = connection.simple_query(&question).await;
            let messages = asked.map_err(|error| database.explain(&error))?;
            let moments = messages.iter().find_map(|message| match message {
                SimpleQueryMessage::Row(row) => Moments::of(row),
                _ => None,
            });
            let unusable = messages
                .iter()
                .any(|message| matches!(message, SimpleQueryMessage::Row(row) if row.get(2) == Some("t")));
            if self.unusable.swap(unusable, Ordering::AcqRel) != unusable {
                // What is in memory is looked up again, and refused.
                self.credentials.fetch_add(1, Ordering::Release);
                self.count();
            }
            if again == PUT_OFF.1 || self.writing.load(Ordering::Acquire) == 0 {
                self.observe(moments);
                break;
            }
            sleep(PUT_OFF.0).await;
        }
        connection.give_back();
        Ok(())
    }

    fn observe(&self, moments: Option<Moments>) {
        let mut known = self.known();
        (known.asked, known.away, known.lost) = (Instant::now(), false, false);
        known.memory.forget(Instant::now(), self.grace);
        let Some(moments) = moments.filter(|moments| *moments != known.moments) else { return };
        let older = moments.changes < known.moments.changes;
        if older && !std::mem::replace(&mut known.older, true) {
            return;
        }
        let of_credentials = moments.credentials != known.moments.credentials;
        if of_credentials {
            self.credentials.fetch_add(1, Ordering::Release);
        }
        (known.moments, known.older) = (moments, false);
        self.count();
        known.memory.notice(Instant::now(), self.generation(), of_credentials);
    }

    /// The database does not answer. When that has lasted, what is in memory is to be read again, which it cannot.
    fn missed(&self) {
        let mut known = self.known();
        known.away = true;
        if !known.lost && known.asked.elapsed() > self.grace {
            known.lost = true;
            self.credentials.fetch_add(1, Ordering::Release);
            self.count();
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn goes_on(&self, grace: Duration) -> bool {
        self.away && !self.lost && self.asked.elapsed() <= grace
    }
}

/// Asks again and again, and at once when something was said.
async fn ask(watch: Weak<Watch>, database: Weak<Database>) {
    loop {
        let Some(watch) = watch.upgrade() else { return };
        drop(timeout(ASK, watch.said.notified()).await);
        let Some(database) = database.upgrade() else { return };
        let answer = timeout(ANSWER, watch.look(&database)).await;
        database.note_stalled(answer.is_err());
        if !matches!(answer, Ok(Ok(()))) {
            watch.missed();
            // What was said is answered late rather than without end.
            sleep(ASK / 4).await;
        }
    }
}

/// Has the database say when something changes, on a connection of its own. Behind a pooler nothing is heard.
async fn listen(watch: Weak<Watch>, database: Weak<Database>) {
    loop {
        let Some(settings) = database.upgrade().map(|database| Arc::clone(&database.settings)) else {
            return;
        };
        if let Ok((client, mut connection)) = settings.config.connect(settings.tls.clone()).await {
            let heard = async {
                while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                    match (message, watch.upgrade()) {
                        (_, None) => return,
                        (AsyncMessage::Notification(_), Some(watch)) => watch.said.notify_one(),
                        _ => {}
                    }
                }
            };
            // The connection has to be moved on while it is told to listen.
            let told = async {
                let told = client.batch_execute("LISTEN canis").await;
                if told.is_ok() {
                    std::future::pending::<()>().await
                }
            };
            tokio::select! {
                () = heard => {}
                () = told => {}
            }
            // Often the first that is seen of a database that ends.
            watch.upgrade().iter().for_each(|watch| watch.suspect());
        }
        sleep(ASK).await;
    }
}

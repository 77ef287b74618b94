use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;

use super::retry::jittered_millis;

/// The last event of a `text/event-stream` body that a [`StreamPolicy`](crate::StreamPolicy) ends.
///
/// Clients have their own words for the end: `data: [DONE]` for the OpenAI API, `event: message_stop` for Anthropic's.
/// The layer's [`goodbye`](crate::DrainLayer::goodbye) holds for every stream; one in a response's extensions wins. Once a
/// frame of the stream was shortened for it, it follows, also if a resume comes first.
///
/// ```
/// use std::time::Duration;
/// use tower_drain::Goodbye;
///
/// let ours = Goodbye::event("goodbye").data("deploying").retry(Duration::from_secs(2));
/// let openai = Goodbye::raw("data: [DONE]\n\n");
/// ```
#[derive(Clone, Debug)]
pub struct Goodbye {
    words: Words,
    /// Written once for all streams, where it is the same for all.
    written: OnceLock<Bytes>,
}

impl PartialEq for Goodbye {
    fn eq(&self, other: &Self) -> bool {
        self.words == other.words
    }
}

impl Eq for Goodbye {}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Words {
    Event {
        name: String,
        data: String,
        retry: Option<Duration>,
    },
    Raw(Bytes),
}

impl Goodbye {
    /// An event of this name with empty data. Line ends in the name are left out.
    pub fn event(name: impl Into<String>) -> Self {
        let mut name = name.into();
        name.retain(|c| c != '\n' && c != '\r');
        Self::of(Words::Event {
            name,
            data: String::new(),
            retry: None,
        })
    }

    fn of(words: Words) -> Self {
        let written = OnceLock::new();
        Self { words, written }
    }

    /// Its data; several lines become several `data:` lines. Raw bytes are left as they are.
    #[must_use]
    pub fn data(mut self, text: impl Into<String>) -> Self {
        if let Words::Event { data, .. } = &mut self.words {
            *data = text.into();
        }
        Self::of(self.words)
    }

    /// After how long an `EventSource` reconnects, in whole milliseconds. The layer's
    /// [`spread`](crate::DrainLayer::spread) is added in a random part. Raw bytes are left as they are.
    #[must_use]
    pub fn retry(mut self, delay: Duration) -> Self {
        if let Words::Event { retry, .. } = &mut self.words {
            *retry = Some(delay);
        }
        Self::of(self.words)
    }

    /// These bytes, as they are. They should be whole events, the empty line at the end included.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::of(Words::Raw(bytes.into()))
    }

    pub(crate) fn bytes(&self, spread: Duration) -> Bytes {
        match &self.words {
            Words::Raw(bytes) => bytes.clone(),
            Words::Event { name, data, retry } => match retry {
                Some(delay) if !spread.is_zero() => {
                    write(name, data, Some(jittered_millis(*delay, spread)))
                }
                _ => {
                    let retry = retry.map(|delay| delay.as_millis());
                    let written = || write(name, data, retry);
                    self.written.get_or_init(written).clone()
                }
            },
        }
    }
}

fn write(name: &str, data: &str, retry: Option<u128>) -> Bytes {
    let mut text = format!("event: {name}\n");
    for line in data.replace("\r\n", "\n").split(['\n', '\r']) {
        let _ = writeln!(text, "data: {line}");
    }
    if let Some(millis) = retry {
        let _ = writeln!(text, "retry: {millis}");
    }
    text.push('\n');
    text.into()
}

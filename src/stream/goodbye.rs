use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;

use super::retry::jittered_millis;

/// The last event of a `text/event-stream` body that a [`StreamPolicy`](crate::StreamPolicy) ends.
///
/// Clients have their own words for the end: `data: [DONE]` for the OpenAI API, `event: message_stop` for Anthropic's.
/// The layer's [`goodbye`](crate::DrainLayer::goodbye) holds for every stream; one in a response's extensions wins.
///
/// ```
/// use std::time::Duration;
/// use tower_drain::Goodbye;
///
/// let ours = Goodbye::event("goodbye").data("deploying").retry(Duration::from_secs(2));
/// let openai = Goodbye::raw("data: [DONE]\n\n");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goodbye {
    words: Words,
}

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
        Self {
            words: Words::Event {
                name,
                data: String::new(),
                retry: None,
            },
        }
    }

    /// Its data; several lines become several `data:` lines. Raw bytes are left as they are.
    #[must_use]
    pub fn data(mut self, text: impl Into<String>) -> Self {
        if let Words::Event { data, .. } = &mut self.words {
            *data = text.into();
        }
        self
    }

    /// After how long an `EventSource` reconnects, in whole milliseconds. The layer's
    /// [`spread`](crate::DrainLayer::spread) is added in a random part. Raw bytes are left as they are.
    #[must_use]
    pub fn retry(mut self, delay: Duration) -> Self {
        if let Words::Event { retry, .. } = &mut self.words {
            *retry = Some(delay);
        }
        self
    }

    /// These bytes, as they are. They should be whole events, the empty line at the end included.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self {
            words: Words::Raw(bytes.into()),
        }
    }

    pub(crate) fn bytes(&self, spread: Duration) -> Bytes {
        let (name, data, retry) = match &self.words {
            Words::Raw(bytes) => return bytes.clone(),
            Words::Event { name, data, retry } => (name, data, retry),
        };
        let mut text = format!("event: {name}\n");
        for line in data.replace("\r\n", "\n").split(['\n', '\r']) {
            let _ = writeln!(text, "data: {line}");
        }
        if let Some(retry) = retry {
            let _ = writeln!(text, "retry: {}", jittered_millis(*retry, spread));
        }
        text.push('\n');
        text.into()
    }
}

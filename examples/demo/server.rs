//! The service that drains. Nothing in it knows of the drain.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::Query;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use axum::Router;
use futures_util::stream::{self, Stream, StreamExt};

const EVERY: Duration = Duration::from_millis(50);

/// The last event of an answer that is whole.
pub(crate) const DONE: &str = "[DONE]";

type Parameters = Query<HashMap<String, u64>>;
type Sent = Result<Event, Infallible>;

pub(crate) fn app() -> Router {
    Router::new()
        .route("/", get(|| async { "hello\n" }))
        .route("/report", get(report))
        .route("/chat", get(chat))
        .route("/prices", get(|| async { endless() }))
        .route("/mcp", get(|| async { endless() }))
}

async fn report(Query(parameters): Parameters) -> &'static str {
    let ms = parameters.get("ms").copied().unwrap_or(1000);
    tokio::time::sleep(Duration::from_millis(ms)).await;
    "a report\n"
}

/// An answer of a language model: token by token, and then it is over.
async fn chat(Query(parameters): Parameters) -> Sse<impl Stream<Item = Sent>> {
    let tokens = parameters.get("tokens").copied().unwrap_or(50);
    let tokens = ticks().take(tokens as usize).map(|i| format!("token {i}"));
    let whole = tokens.chain(stream::iter([DONE.to_owned()]));
    Sse::new(whole.map(|data| Ok(Event::default().data(data))))
}

/// A subscription: nothing in it ever ends.
fn endless() -> Sse<impl Stream<Item = Sent>> {
    Sse::new(ticks().map(|i| Ok(Event::default().id(i.to_string()).data("tick"))))
}

/// By the clock, so that a busy machine makes no stream longer.
fn ticks() -> impl Stream<Item = u64> {
    stream::unfold(
        (0, tokio::time::interval(EVERY)),
        |(i, mut every)| async move {
            every.tick().await;
            Some((i, (i + 1, every)))
        },
    )
}

//! The page that `examples/server` shows, followed over a restart.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::chrome::Chrome;
use crate::process::free_addr;
use crate::server::{Recipe, Server};

/// For what takes less than four seconds where nothing else runs.
const GENEROUS: Duration = Duration::from_secs(30);

/// All that a person sees on it.
const SEEN: &str = "Object.fromEntries(
    ['phase', 'in-flight', 'events', 'missed', 'reconnects', 'log']
        .map((id) => [id, document.getElementById(id)?.innerText]))";

/// `cargo test` builds the examples, but not if it is told to run this test alone.
pub(crate) fn program() -> Option<PathBuf> {
    let this = std::env::current_exe().ok()?;
    let program = this.ancestors().nth(2)?.join("examples/server");
    program.is_file().then_some(program)
}

pub(crate) async fn the_page_follows_a_restart(
    chrome: &mut Chrome,
    folder: &Path,
) -> Result<String, String> {
    let recipe = Recipe {
        env: [("LAME_DUCK", "1"), ("SETTLE", "0.1")]
            .map(|(name, value)| (format!("GRACEFUL_SHUTDOWN_{name}").into(), value.into()))
            .into(),
        ..Recipe::new(program().ok_or("not built")?)
    };
    let mut server = Server::start("", free_addr(), recipe, folder.join("example.log")).await?;
    let page = chrome.open(&format!("http://{}/", server.addr)).await?;

    let is_live = |seen: &Value| {
        number(seen, "events") >= 8 && seen["phase"] == "serving" && seen["in-flight"] == "1"
    };
    chrome.until(&page, SEEN, GENEROUS, is_live).await?;

    let watched = async {
        let is_leaving = |seen: &Value| seen["phase"] == "lame duck";
        chrome.until(&page, SEEN, GENEROUS, is_leaving).await?;
        let is_away = |seen: &Value| seen["phase"] == "no answer";
        chrome.until(&page, SEEN, GENEROUS, is_away).await
    };
    let (exit, away) = tokio::join!(server.stop(GENEROUS), watched);
    let away = away?;
    if exit.code != Ok(0) {
        return Err(format!("the server left with {:?}", exit.code));
    }
    chrome.picture(&page, "dark", &picture("away")?).await?;

    server.start_anew().await?;
    let is_back = |seen: &Value| {
        seen["phase"] == "serving" && number(seen, "events") >= number(&away, "events") + 12
    };
    let seen = chrome.until(&page, SEEN, GENEROUS, is_back).await?;
    chrome.picture(&page, "light", &picture("back")?).await?;
    chrome.leave(page).await?;
    if number(&seen, "reconnects") != 1 || number(&seen, "missed") != 0 {
        return Err(format!("the page shows {seen}"));
    }
    let log = seen["log"].as_str().unwrap_or_default();
    for words in ["goodbye: the service is shutting down", "none missed"] {
        if !log.contains(words) {
            return Err(format!("`{words}` is not in the log of {seen}"));
        }
    }
    Ok("see target/browser/away.png, back.png".to_owned())
}

fn number(seen: &Value, id: &str) -> u64 {
    let text = seen[id].as_str().and_then(|text| text.parse().ok());
    text.unwrap_or_default()
}

fn picture(name: &str) -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/browser");
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    Ok(folder.join(format!("{name}.png")))
}

//! A link that goes with the process, as that of a pod does: two network namespaces with a slow link between them.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::app::ADDR;
use crate::process::Recipe;

const RATE: &str = "1500kbit";

/// Removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Link {
    server: String,
    client: String,
}

fn ip(words: &str) -> Result<(), String> {
    let output = Command::new("ip").args(words.split(' ')).output();
    let output = output.map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "`ip {words}`: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

impl Link {
    /// # Errors
    ///
    /// Where namespaces cannot be made, which takes root, or the kernel has no `tbf`.
    pub(crate) fn new() -> Result<Self, String> {
        static LINKS: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "links{}-{}",
            std::process::id(),
            LINKS.fetch_add(1, Ordering::Relaxed)
        );
        let link = Self {
            server: format!("{name}s"),
            client: format!("{name}c"),
        };
        let Self { server, client } = &link;
        for words in [
            format!("netns add {server}"),
            format!("netns add {client}"),
            format!("-n {server} link add link0 type veth peer name link1 netns {client}"),
            format!("-n {server} addr add 10.0.0.1/24 dev link0"),
            format!("-n {client} addr add 10.0.0.2/24 dev link1"),
            format!("-n {server} link set link0 up"),
            format!("-n {client} link set link1 up"),
            format!("netns exec {server} tc qdisc add dev link0 root tbf rate {RATE} burst 5kb limit 1mb"),
        ] {
            ip(&words)?;
        }
        Ok(link)
    }

    pub(crate) fn serves(&self, recipe: Recipe) -> Recipe {
        recipe
            .by(&["ip", "netns", "exec", &self.server])
            .with(ADDR, "10.0.0.1:3000")
    }

    pub(crate) fn client(&self) -> String {
        self.client.clone()
    }

    /// With whatever is still on its way.
    pub(crate) fn take_away(&self) {
        ip(&format!("-n {} link del link0", self.server)).expect("it was there");
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for name in [&self.server, &self.client] {
            let _ = ip(&format!("netns del {name}"));
        }
    }
}

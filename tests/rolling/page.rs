//! The page for operators quotes the configurations that run here. This holds it to that.

use std::path::Path;

const PAGE: &str = "OPERATING.md";

/// What the page quotes and no configuration has; `None` where there is no page, as in a published package.
pub(crate) fn wrong_quotes(configurations: &[(&str, &str)]) -> Option<Vec<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = std::fs::read_to_string(page).ok()?;
    let mut wrong = Vec::new();
    for (language, configuration) in configurations {
        let fence = format!("```{language}\n");
        let quotes: Vec<_> = page.split(&fence).skip(1).collect();
        if quotes.is_empty() {
            wrong.push(format!("{PAGE} quotes nothing of {language}"));
        }
        for quote in quotes {
            let lines = quote.split("```").next().unwrap_or_default();
            if !configuration.contains(lines) {
                let first = lines.lines().next().unwrap_or_default().trim();
                wrong.push(format!(
                    "{PAGE} quotes lines of {language} that do not run here, from `{first}` on"
                ));
            }
        }
    }
    Some(wrong)
}

//! The picture: reconnects in each second, one panel a spread, all of one scale.

use std::fmt::Write as _;

use crate::Herd;

const LEFT: f64 = 76.0;
const TOP: f64 = 76.0;
const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 120.0;
const GAP: f64 = 44.0;
const RIGHT: f64 = 24.0;
const BOTTOM: f64 = 48.0;
/// Of the scale of every panel.
const STEP: u32 = 5000;
const TEXT: &str = "#24292f";
const SOFT: &str = "#57606a";
const LINE: &str = "#d8dee4";
const COLOURS: [&str; 3] = ["#b3403a", "#a8700f", "#2e7d4f"];

pub(crate) fn draw(herds: &[Herd]) -> String {
    let seconds = herds.iter().map(|herd| herd.each_second.len()).max();
    let minutes = seconds.unwrap_or_default().div_ceil(60).max(1);
    let x = |second: f64| LEFT + WIDTH * second / (minutes * 60) as f64;
    let most = |herd: &Herd| herd.each_second.iter().max().copied().unwrap_or_default();
    let steps = herds
        .iter()
        .map(most)
        .max()
        .unwrap_or_default()
        .div_ceil(STEP)
        .max(1);
    let panels = herds.len() as f64;
    let (width, bottom) = (LEFT + WIDTH + RIGHT, TOP + panels * (HEIGHT + GAP) - GAP);

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"system-ui, sans-serif\" role=\"img\" aria-label=\"Reconnects per second in a \
         rolling restart\">\n<rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#ffffff\"/>\n",
        height = bottom + BOTTOM,
    );
    let title =
        "Reconnects per second, 100 000 event streams of 20 servers, restarted one after the other";
    text(&mut svg, [LEFT, 32.0], "start", TEXT, title);
    for minute in 0..=minutes {
        let at = x((minute * 60) as f64);
        text(
            &mut svg,
            [at, bottom + 20.0],
            "middle",
            SOFT,
            &minute.to_string(),
        );
    }
    text(
        &mut svg,
        [LEFT + WIDTH / 2.0, bottom + 38.0],
        "middle",
        SOFT,
        "minutes",
    );
    for (panel, (herd, colour)) in herds.iter().zip(COLOURS).enumerate() {
        let base = TOP + panel as f64 * (HEIGHT + GAP) + HEIGHT;
        let y = |count: u32| base - HEIGHT * f64::from(count) / f64::from(steps * STEP);
        for count in (0..=steps).map(|step| step * STEP) {
            let at = y(count);
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{}\" y2=\"{at:.1}\" stroke=\"{LINE}\"/>",
                LEFT + WIDTH
            );
            text(
                &mut svg,
                [LEFT - 8.0, at + 4.0],
                "end",
                SOFT,
                &count.to_string(),
            );
        }
        let mut path = String::new();
        for (second, &count) in herd
            .each_second
            .iter()
            .enumerate()
            .filter(|(_, &count)| count > 0)
        {
            // One reconnect would have no height.
            let at = y(count).min(base - 1.0);
            let (from, to) = (x(second as f64), x(second as f64 + 1.0));
            let _ = write!(path, "M{from:.1} {base:.1}V{at:.1}H{to:.1}V{base:.1}Z");
        }
        let _ = writeln!(svg, "<path d=\"{path}\" fill=\"{colour}\"/>");
        let most = most(herd);
        let label = format!(
            "spread {} s: at most {most} in a second",
            herd.plan.spread.as_secs()
        );
        text(
            &mut svg,
            [LEFT, base - HEIGHT - 10.0],
            "start",
            colour,
            &label,
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn text(svg: &mut String, [x, y]: [f64; 2], anchor: &str, fill: &str, words: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"13\" fill=\"{fill}\">{words}</text>"
    );
}

//! A picture of a measurement: what arrived over time.

use crate::manual::measure::{Measurement, Outcome};
use plotters::{
    prelude::*,
    style::{register_font, FontStyle},
};
use std::{error::Error, path::Path, sync::OnceLock};
use weir_probe::reception::STEP;

/// Where distributions have a font that we know.
const FONTS: [&str; 4] = [
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",
    "/usr/share/fonts/TTF/DejaVuSans.ttf",
    "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf",
];
const WIDTH: u32 = 1_000;
const HEIGHT_EACH: u32 = 420;
const BLUE: RGBColor = RGBColor(0, 114, 178);
const ORANGE: RGBColor = RGBColor(213, 94, 0);
const GREEN: RGBColor = RGBColor(0, 158, 115);

/// Makes a font known to the plots.
///
/// # Errors
///
/// One sentence that says what to install, if there is none.
pub fn load_font() -> Result<(), String> {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    if BYTES.get().is_none() {
        let bytes = FONTS
            .iter()
            .find_map(|font| std::fs::read(font).ok())
            .ok_or("there is no font for a plot; install the package fonts-dejavu-core")?;
        register_font("sans-serif", FontStyle::Normal, BYTES.get_or_init(|| bytes))
            .map_err(|_| "the font for plots cannot be read".to_string())?;
    }
    Ok(())
}

/// The Mbit/s of each step, of all challengers together.
fn arrivals(measurement: &Measurement) -> Vec<f64> {
    let mut steps = Vec::new();
    for row in &measurement.challengers {
        let Outcome::Counted { arrivals, packet_bytes, .. } = &row.outcome else { continue };
        if steps.len() < arrivals.len() {
            steps.resize(arrivals.len(), 0.0);
        }
        for (sum, packets) in steps.iter_mut().zip(arrivals) {
            *sum += f64::from(*packets) * f64::from(*packet_bytes) * 8.0 / STEP.as_secs_f64() / 1e6;
        }
    }
    steps
}

/// Draws what arrived over time, one panel for each measurement, at most four.
///
/// # Errors
///
/// When there is no font, or the file cannot be written.
pub fn plot(file: &Path, measurements: &[Measurement]) -> Result<(), Box<dyn Error>> {
    load_font()?;
    let shown = measurements.get(..measurements.len().min(4)).unwrap_or_default();
    let height = HEIGHT_EACH * u32::try_from(shown.len().max(1))?;
    let area = BitMapBackend::new(file, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    for (panel, measurement) in area.split_evenly((shown.len().max(1), 1)).iter().zip(shown) {
        let steps = arrivals(measurement);
        let mbit = |bits: u64| bits as f64 / 1e6;
        let (raw, proven) = (mbit(measurement.raw_bits_per_second), mbit(measurement.proven_bits_per_second));
        let top = steps.iter().copied().fold(raw, f64::max).max(1e-3) * 1.25;
        let milliseconds = |step: usize| step as f64 * STEP.as_secs_f64() * 1e3;
        let end = milliseconds(steps.len().max(1));
        let caption = format!("{}: what arrived in each {} ms", measurement.direction, STEP.as_millis());
        let mut chart = ChartBuilder::on(panel)
            .caption(caption, ("sans-serif", 20))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(66)
            .build_cartesian_2d(0.0..end, 0.0..top)?;
        chart
            .configure_mesh()
            .x_desc("time since the start, ms")
            .y_desc("Mbit/s")
            .label_style(("sans-serif", 14))
            .axis_desc_style(("sans-serif", 16))
            .light_line_style(WHITE)
            .x_label_formatter(&|milliseconds| format!("{milliseconds:.0}"))
            .y_label_formatter(&|rate| if top < 10.0 { format!("{rate:.2}") } else { format!("{rate:.0}") })
            .draw()?;
        let stairs = steps
            .iter()
            .enumerate()
            .flat_map(|(step, rate)| [(milliseconds(step), *rate), (milliseconds(step + 1), *rate)]);
        chart.draw_series(AreaSeries::new(stairs, 0.0, BLUE.mix(0.25)).border_style(BLUE.stroke_width(1)))?;
        for (level, colour, name) in [(raw, ORANGE, "estimate"), (proven, GREEN, "proven")] {
            chart
                .draw_series(LineSeries::new([(0.0, level), (end, level)], colour.stroke_width(2)))?
                .label(format!("{name}: {level:.1} Mbit/s"))
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 22, y)], colour.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 14))
            .draw()?;
    }
    area.present()?;
    Ok(())
}

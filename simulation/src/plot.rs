//! Plots, all in one style.

use plotters::{
    coord::{ranged1d::ValueFormatter, CoordTranslate},
    prelude::*,
    style::{register_font, FontStyle},
};
use std::{error::Error, ops::Range, path::Path, sync::OnceLock};

/// Where Debian and Ubuntu have the font that `scripts/simulate` installs.
const FONT: &str = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf";
const SIZE: (u32, u32) = (1_000, 620);
/// Told apart by people who see colours differently (Okabe and Ito).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(110, 110, 110),
];

/// How an axis goes.
#[derive(Clone, Copy, PartialEq)]
pub enum Scale {
    Linear,
    Logarithmic,
}

/// An axis.
pub struct Axis {
    pub title: &'static str,
    pub range: Range<f64>,
    pub scale: Scale,
}

/// How the points of a series are drawn.
#[derive(Clone, Copy, PartialEq)]
pub enum Mark {
    Line,
    LineAndDots,
    Dots,
    Dashed,
}

/// Points under a name.
pub struct Series {
    pub name: String,
    pub mark: Mark,
    pub points: Vec<(f64, f64)>,
}

/// Draws series into a PNG file.
pub fn plot(file: &Path, title: &str, x: &Axis, y: &Axis, series: &[Series]) -> Result<(), Box<dyn Error>> {
    load_font()?;
    let area = BitMapBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut builder = ChartBuilder::on(&area);
    builder.caption(title, ("sans-serif", 22)).margin(18).x_label_area_size(48).y_label_area_size(70);
    match (x.scale, y.scale) {
        (Scale::Linear, Scale::Linear) => {
            draw(&mut builder.build_cartesian_2d(x.range.clone(), y.range.clone())?, x, y, series)?
        },
        (Scale::Linear, Scale::Logarithmic) => {
            draw(&mut builder.build_cartesian_2d(x.range.clone(), y.range.clone().log_scale())?, x, y, series)?
        },
        (Scale::Logarithmic, Scale::Linear) => {
            draw(&mut builder.build_cartesian_2d(x.range.clone().log_scale(), y.range.clone())?, x, y, series)?
        },
        (Scale::Logarithmic, Scale::Logarithmic) => draw(
            &mut builder.build_cartesian_2d(x.range.clone().log_scale(), y.range.clone().log_scale())?,
            x,
            y,
            series,
        )?,
    }
    area.present()?;
    Ok(())
}

type Context<'a, X, Y> = ChartContext<'a, BitMapBackend<'a>, Cartesian2d<X, Y>>;

fn draw<'a, X, Y>(chart: &mut Context<'a, X, Y>, x: &Axis, y: &Axis, series: &[Series]) -> Result<(), Box<dyn Error>>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Cartesian2d<X, Y>: CoordTranslate<From = (f64, f64)>,
{
    chart
        .configure_mesh()
        .x_desc(x.title)
        .y_desc(y.title)
        .label_style(("sans-serif", 15))
        .axis_desc_style(("sans-serif", 17))
        .light_line_style(WHITE)
        .x_label_formatter(&|value| number(*value))
        .y_label_formatter(&|value| number(*value))
        .draw()?;
    for (index, Series { name, mark, points }) in series.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let inside = points.iter().copied().filter(|(px, py)| px.is_finite() && py.is_finite());
        if *mark == Mark::Dashed {
            chart
                .draw_series(DashedLineSeries::new(inside.clone(), 6, 5, colour.stroke_width(2)))?
                .label(name)
                .legend(move |(lx, ly)| PathElement::new(vec![(lx, ly), (lx + 22, ly)], colour.stroke_width(1)));
            continue;
        }
        if *mark != Mark::Dots {
            chart
                .draw_series(LineSeries::new(inside.clone(), colour.stroke_width(2)))?
                .label(name)
                .legend(move |(lx, ly)| PathElement::new(vec![(lx, ly), (lx + 22, ly)], colour.stroke_width(2)));
        }
        if *mark != Mark::Line {
            let dots = chart.draw_series(inside.map(|point| Circle::new(point, 4, colour.filled())))?;
            if *mark == Mark::Dots {
                dots.label(name).legend(move |(lx, ly)| Circle::new((lx + 11, ly), 4, colour.filled()));
            }
        }
    }
    if series.len() > 1 {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 15))
            .draw()?;
    }
    Ok(())
}

/// A number as people write it.
fn number(value: f64) -> String {
    if value == 0.0 || (0.01..100_000.0).contains(&value.abs()) {
        let text = format!("{value:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    } else {
        format!("{value:.0e}")
    }
}

fn load_font() -> Result<(), Box<dyn Error>> {
    static FONT_BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    if FONT_BYTES.get().is_none() {
        let bytes = std::fs::read(FONT).map_err(|error| {
            format!(
                "the font {FONT} cannot be read ({error}); scripts/simulate installs it, or install fonts-dejavu-core"
            )
        })?;
        let bytes = FONT_BYTES.get_or_init(|| bytes);
        register_font("sans-serif", FontStyle::Normal, bytes).map_err(|_| format!("{FONT} is no font"))?;
    }
    Ok(())
}

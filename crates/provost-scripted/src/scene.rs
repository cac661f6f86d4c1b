//! Faults and odd replies, picked by what follows the `+` in a model's name.

use std::{str::FromStr, time::Duration};

use bytes::Bytes;
use http::StatusCode;

use crate::{
    Answer, Asked, Block, Coding, Content, Message, Play, Step, error_event,
    message::text_delta,
};

/// One way for a reply to be unusual. The first column is its text form.
///
/// Where the request did not ask for a stream, the same happens to the JSON reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// `slow-5x20`: five text deltas, 20 ms before each.
    Slow {
        /// How many deltas.
        deltas: usize,
        /// The wait before each.
        every: Duration,
    },
    /// `endless-20`: text deltas every 20 ms until the client goes away. `endless-0`: without
    /// a pause. Streams whatever was asked for.
    Endless {
        /// The wait before each.
        every: Duration,
    },
    /// `huge-1000000`: a text of a million bytes.
    Huge {
        /// Size of the text. Unit: bytes.
        bytes: usize,
    },
    /// `status-529`: an error reply; 429 carries `retry-after: 20`.
    Status(StatusCode),
    /// `gzip`, `deflate`, `br`, `zstd`: encoded, asked for or not.
    Encoded(Coding),
    /// `bytewise`: every byte in a chunk of its own.
    Bytewise,
    /// `no-usage`: the reply does not say what it used.
    NoUsage,
    /// `hang`: silent for ever.
    Hang,
    /// `hang-after-head`: a head, then silent for ever.
    HangAfterHead,
    /// `hang-mid-stream`: half a reply, then silent for ever.
    HangMidStream,
    /// `reset`: RST instead of a reply.
    Reset,
    /// `reset-mid-stream`: half a reply, then RST.
    ResetMidStream,
    /// `close-mid-stream`: half a reply, then FIN without the last chunk.
    CloseMidStream,
    /// `eof-mid-stream`: half a reply, ended as if it were whole.
    EofMidStream,
    /// `error-mid-stream`: half a reply, then `event: error` and a clean end.
    ErrorMidStream,
    /// `garbage`: bytes that are neither SSE nor JSON, under the right content type.
    Garbage,
    /// `html`: status 200 and a web page.
    Html,
}

/// A text that names no scene.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` names no scene")]
pub struct SceneError {
    /// What was given, cut to 80 characters.
    pub given: String,
}

/// Neither UTF-8 nor JSON, and as SSE a field without a name and an event without an end.
const GARBAGE: &[u8] =
    b"event: message_start\ndata: {\"type\":\n\n\xff\xfe\0: :\n\ndata\n{]\r\r";

const PAGE: &[u8] = b"<!doctype html><title>Gateway</title><p>It works!</p>\n";

/// Text of one delta of a huge reply. Unit: bytes.
const HUGE_DELTA: usize = 16_384;

impl FromStr for Scene {
    type Err = SceneError;

    fn from_str(text: &str) -> Result<Self, SceneError> {
        let unknown = || SceneError { given: text.chars().take(80).collect() };
        Ok(match text {
            "gzip" => Self::Encoded(Coding::Gzip),
            "deflate" => Self::Encoded(Coding::Deflate),
            "br" => Self::Encoded(Coding::Brotli),
            "zstd" => Self::Encoded(Coding::Zstd),
            "bytewise" => Self::Bytewise,
            "no-usage" => Self::NoUsage,
            "hang" => Self::Hang,
            "hang-after-head" => Self::HangAfterHead,
            "hang-mid-stream" => Self::HangMidStream,
            "reset" => Self::Reset,
            "reset-mid-stream" => Self::ResetMidStream,
            "close-mid-stream" => Self::CloseMidStream,
            "eof-mid-stream" => Self::EofMidStream,
            "error-mid-stream" => Self::ErrorMidStream,
            "garbage" => Self::Garbage,
            "html" => Self::Html,
            _ => Self::with_number(text).ok_or_else(unknown)?,
        })
    }
}

impl Scene {
    fn with_number(text: &str) -> Option<Self> {
        let (word, number) = text.rsplit_once('-')?;
        let millis = |text: &str| text.parse().ok().map(Duration::from_millis);
        match word {
            "slow" => {
                let (deltas, every) = number.split_once('x')?;
                Some(Self::Slow { deltas: deltas.parse().ok()?, every: millis(every)? })
            }
            "endless" => Some(Self::Endless { every: millis(number)? }),
            "huge" => Some(Self::Huge { bytes: number.parse().ok()? }),
            "status" => StatusCode::from_bytes(number.as_bytes()).ok().map(Self::Status),
            _ => None,
        }
    }

    /// Plays `message` in this way.
    pub fn play(self, asked: &Asked, mut message: Message) -> Play {
        let half = |last: Option<Step>| {
            let steps = steps_of(asked, &message);
            let kept = steps.len() / 2;
            reply(asked, steps.into_iter().take(kept).chain(last))
        };
        match self {
            Self::Hang => Play::Hang,
            Self::Reset => Play::Reset,
            Self::HangAfterHead => reply(asked, [Step::Hang]),
            Self::HangMidStream => half(Some(Step::Hang)),
            Self::ResetMidStream => half(Some(Step::Reset)),
            Self::CloseMidStream => half(Some(Step::Close)),
            Self::EofMidStream => half(None),
            Self::ErrorMidStream => half(Some(Step::Send(overloaded()))),
            Self::Garbage => reply(asked, [Step::Send(Bytes::from_static(GARBAGE))]),
            Self::Html => {
                let page = Content::Whole(Bytes::from_static(PAGE));
                Play::Answer(Answer::new(StatusCode::OK, "text/html", page))
            }
            Self::Status(status) => error(status),
            Self::Encoded(coding) => message.play(asked.stream).encoded(coding),
            Self::Bytewise => {
                let steps = steps_of(asked, &message).into_iter().flat_map(bytewise);
                reply(asked, steps)
            }
            Self::NoUsage => {
                message.tokens = None;
                message.play(asked.stream)
            }
            Self::Slow { deltas, every } => {
                message.blocks = vec![Block::Text { text: "tick ".repeat(deltas) }];
                let steps = steps_of(asked, &message).into_iter();
                reply(asked, steps.flat_map(move |step| [Step::Wait(every), step]))
            }
            Self::Endless { every } => {
                message.blocks = vec![Block::Text { text: "tick ".to_owned() }];
                let start = message.events().into_iter().take(4).map(Step::Send);
                let ticks = [Step::Wait(every), Step::Send(text_delta("tick "))];
                let pause_free = usize::from(every.is_zero());
                let ticks: Vec<Step> = ticks.into_iter().skip(pause_free).collect();
                Play::stream(start.chain(ticks.into_iter().cycle()))
            }
            Self::Huge { bytes } => huge(asked, message, bytes),
        }
    }
}

fn reply<I>(asked: &Asked, steps: I) -> Play
where
    I: IntoIterator<Item = Step>,
    I::IntoIter: Send + 'static,
{
    if asked.stream {
        return Play::stream(steps);
    }
    let steps = Content::Steps(Box::new(steps.into_iter()));
    Play::Answer(Answer::new(StatusCode::OK, "application/json", steps))
}

/// A stream's events, or the JSON reply in two halves.
fn steps_of(asked: &Asked, message: &Message) -> Vec<Step> {
    if asked.stream {
        return message.events().into_iter().map(Step::Send).collect();
    }
    let mut front = message.json();
    let back = front.split_off(front.len() / 2);
    vec![Step::Send(front), Step::Send(back)]
}

fn bytewise(step: Step) -> Vec<Step> {
    let Step::Send(bytes) = step else { return vec![step] };
    (0..bytes.len()).map(|at| Step::Send(bytes.slice(at..=at))).collect()
}

fn huge(asked: &Asked, mut message: Message, bytes: usize) -> Play {
    if !asked.stream {
        message.blocks = vec![Block::Text { text: "x".repeat(bytes) }];
        return message.play(asked.stream);
    }
    message.blocks = vec![Block::Text { text: String::new() }];
    let mut front: Vec<Step> = message.events().into_iter().map(Step::Send).collect();
    let back = front.split_off(front.len().min(3));
    let delta = Step::Send(text_delta(&"x".repeat(HUGE_DELTA)));
    let deltas = std::iter::repeat_n(delta, bytes.div_ceil(HUGE_DELTA));
    Play::stream(front.into_iter().chain(deltas).chain(back))
}

fn error(status: StatusCode) -> Play {
    let play = Play::error(status, &format!("scripted {status}"));
    if status == StatusCode::TOO_MANY_REQUESTS {
        play.with_header("retry-after", "20")
    } else {
        play
    }
}

/// 529: the API's own "overloaded".
fn overloaded() -> Bytes {
    let status = StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    error_event(status, "Overloaded")
}

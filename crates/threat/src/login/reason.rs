//! Why an assessment came out as it did.

use std::fmt;

/// Which part of the engine gave a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A fixed signal; its contribution is its weight.
    Fixed,
    /// The learned part; its contribution is a natural logarithm of a likelihood ratio (negative: like the owner).
    Learned,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident $name:literal $words:literal;)*) => {
        /// A reason's stable name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ReasonCode { $($(#[$doc])* $code,)* }

        impl ReasonCode {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            /// The stable name, for events, metrics and translations.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$code => $name,)* }
            }

            /// In words that the person understands, to go on after "it was"; for what speaks against the owner.
            pub const fn words(self) -> &'static str {
                match self { $(Self::$code => $words,)* }
            }
        }
    };
}

codes! {
    /// The city (or country) was never seen with this person.
    NewPlace "new-place" "from a place you have not signed in from before";
    /// Neither cookie nor user agent were seen with this person.
    NewDevice "new-device" "from a device or browser you have not used before";
    /// This person does not sign in around this hour.
    UnusualHour "unusual-hour" "at an hour that is unusual for you";
    /// A network that hides people, a data centre, or one known for attacks.
    BadNetwork "bad-network" "through a network that hides where it is, or is known for attacks";
    /// Too far from the last sign-in for the time between.
    ImpossibleTravel "impossible-travel" "too far from your last sign-in for the time between them";
    /// Wrong passwords came before.
    RecentFailures "recent-failures" "after several failed attempts";
    /// The password is known to attackers.
    BreachedPassword "breached-password" "with a password that is in a list of stolen passwords";
    /// Where the connection comes from, against this person's habits.
    NetworkHabit "network-habit" "from a network that you seldom use";
    /// A new address on a line whose address seldom changes (or the usual one).
    AddressHabit "address-habit" "from a new address where yours seldom changes";
    /// The device, against this person's habits.
    DeviceHabit "device-habit" "with a device or version that you seldom use";
    /// Network and device together, beyond what each says alone.
    Combination "combination" "with an unusual combination of network and device";
    /// The round-trip time, against this person's on the same network.
    RoundTrip "round-trip-time" "over a connection that is unlike your usual one";
    /// A device that used to show our cookie came without it.
    LostCookie "lost-cookie" "with a device like yours, but without the mark that we left on yours";
    /// A network that hides people, against how often owners come through one.
    HiddenNetwork "hidden-network" "through a network that hides where it is";
    /// Nothing is known of this person yet.
    ColdStart "cold-start" "the first one, with no earlier ones to compare it with";
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One reason and how much it counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reason {
    /// What.
    pub code: ReasonCode,
    /// By which part.
    pub part: Part,
    /// How much, in the unit of its part.
    pub contribution: f32,
}

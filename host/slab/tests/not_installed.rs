//! A program with another global allocator: slots do nothing, and do no harm.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use hotsocket_slab::Slot;

#[test]
fn slots_do_nothing_without_the_allocator() {
    let mut slot = Slot::new(8192);
    let mut text = slot.fill(|| "some text".to_owned());
    text.push_str(", and more");
    let mut filling = pin!(slot.fill_async(async { Box::new(7) }));
    let polled = filling
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(number) if *number == 7));
    assert_eq!(Slot::new(100_000).size_needed(), 0);
    assert_eq!(text, "some text, and more");
}

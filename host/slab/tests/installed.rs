//! A program whose global allocator is the crate's.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use hotsocket_slab::{SlabAllocator, Slot};

#[global_allocator]
static ALLOCATOR: SlabAllocator = SlabAllocator::new();

fn address<T: ?Sized>(value: &T) -> usize {
    std::ptr::from_ref(value).addr()
}

/// One test, as what it begins with can't be had again in the same process.
#[test]
fn what_is_made_together_lies_together_once_addresses_are_reserved() {
    let mut slot = Slot::new(4096);
    drop(slot.fill(|| vec![1_u8; 100]));
    assert_eq!(slot.size_needed(), 0, "no slots before");
    ALLOCATOR.reserve_address_space();
    ALLOCATOR.reserve_address_space();
    drop(slot);

    let mut slot = Slot::new(8192);
    let empty = slot.size_needed();
    let (number, mut text) = slot.fill(|| (Box::new(7_u64), "some text".to_owned()));
    let other = "some text".to_owned();
    assert!(slot.size_needed() > empty);
    assert!(address(&*number).abs_diff(address(&*text)) < 8192);
    assert!(address(&*number).abs_diff(address(&*other)) >= 8192);

    // Growing, and freeing by another thread, which knows nothing of slots.
    drop(slot);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..1000).for_each(|_| text.push('x')));
        scope.spawn(move || assert_eq!(*number, 7));
    });
    assert_eq!(text.len(), 1009);

    // A future allocates in the slot while it is polled, and only then.
    let mut slot = Slot::new(8192);
    let mut polled = 0;
    let mut inside = Vec::with_capacity(3);
    let mut outside = Vec::new();
    {
        let steps = poll_fn(|_| {
            polled += 1;
            inside.push(Box::new(polled));
            if polled < 3 {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        });
        let mut filling = pin!(slot.fill_async(steps));
        let mut context = Context::from_waker(Waker::noop());
        while filling.as_mut().poll(&mut context).is_pending() {
            outside.push(Box::new(0));
        }
    }
    let inside: Vec<usize> = inside.iter().map(|one| address(&**one)).collect();
    let outside: Vec<usize> = outside.iter().map(|one| address(&**one)).collect();
    let is_near = |one: &usize| inside.iter().all(|other| one.abs_diff(*other) < 8192);
    assert_eq!((inside.len(), outside.len()), (3, 2));
    assert!(inside.iter().all(is_near) && !outside.iter().any(is_near));
}

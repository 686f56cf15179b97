;; A guest of the world hotsocket:socket/guest, with nothing in it but a heap
;; that is emptied after each event.
(component
  (type $types (instance
    (type $address' (record (field "ip" string) (field "port" u16)))
    (export "address" (type $address (eq $address')))
    (type $info' (record (field "id" u64) (field "local" $address) (field "peer" $address)))
    (export "connection-info" (type (eq $info')))
    (type $bytes (list u8))
    (type $snapshot (option $bytes))
    (type $succession' (record (field "snapshot" $snapshot) (field "peer-ended" bool)))
    (export "succession" (type $succession (eq $succession')))
    (type $origin' (variant
      (case "accepted") (case "migrated" $succession)
      (case "woken" $succession) (case "restarted" $succession)))
    (export "origin" (type (eq $origin')))
    (type $close-reason' (variant
      (case "ended") (case "aborted-by-peer") (case "aborted-by-guest") (case "idle-timeout")
      (case "write-timeout") (case "shutdown") (case "swapped") (case "other" string)))
    (export "close-reason" (type (eq $close-reason')))
    (type $write-error' (variant (case "closed") (case "full") (case "other" string)))
    (export "write-error" (type (eq $write-error')))))
  (import "hotsocket:socket/types@0.1.0" (instance $the-types (type $types)))
  (alias export $the-types "address" (type $address))
  (alias export $the-types "origin" (type $origin))
  (alias export $the-types "close-reason" (type $close-reason))
  (alias export $the-types "write-error" (type $write-error))

  (type $connection (instance
    (alias outer 1 $write-error (type $error'))
    (export "write-error" (type $error (eq $error')))
    (type $bytes (list u8))
    (type $written (result bool (error $error)))
    (export "write" (func (param "bytes" $bytes) (result $written)))
    (export "end" (func))
    (export "abort" (func))
    (export "hold-open" (func))
    (export "set-timer" (func (param "id" u32) (param "after-ms" u64)))))
  (import "hotsocket:socket/connection@0.1.0" (instance $the-connection (type $connection)))
  (import "hotsocket:socket/output@0.1.0" (instance $the-output
    (export "print" (func (param "line" string)))
    (export "panic" (func (param "message" string)))))
  ;; further imports

  (core module $heap
    (memory (export "memory") 4)
    (global $top (export "top") (mut i32) (i32.const 65536))
    (func (export "realloc") (param $old i32) (param $was i32) (param $align i32) (param $size i32)
      (result i32)
      (local $at i32)
      (local.set $at (i32.and
        (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $top (i32.add (local.get $at) (local.get $size)))
      (block $fits
        (br_if $fits (i32.le_u (global.get $top) (i32.mul (memory.size) (i32.const 65536))))
        (drop (memory.grow (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1)))))
      (local.get $at)))
  (core instance $heap (instantiate $heap))
  (alias core export $heap "memory" (core memory $memory))
  (alias core export $heap "realloc" (core func $realloc))

  (core func $write (canon lower (func $the-connection "write") (memory $memory) (realloc $realloc)))
  (core func $finish (canon lower (func $the-connection "end")))
  (core func $abort (canon lower (func $the-connection "abort")))
  (core func $hold-open (canon lower (func $the-connection "hold-open")))
  (core func $set-timer (canon lower (func $the-connection "set-timer")))
  (core func $print (canon lower (func $the-output "print") (memory $memory)))
  (core func $panic (canon lower (func $the-output "panic") (memory $memory)))

  (core module $guest
    (import "heap" "memory" (memory 4))
    (import "heap" "top" (global $top (mut i32)))
    (import "host" "write" (func $write (param i32 i32 i32)))
    (import "host" "end" (func $end))
    (import "host" "abort" (func $abort))
    (import "host" "hold-open" (func $hold-open))
    (import "host" "set-timer" (func $set-timer (param i32 i64)))
    (import "host" "print" (func $print (param i32 i32)))
    (import "host" "panic" (func $panic (param i32 i32)))
    (data (i32.const 1024) "STRINGS")
    ;; Results lie at 16; at 0 is what `write` gives.
    (global $state (mut i32) (i32.const 0))

    ;; Write to the peer; give 0 for go on, 1 for wait, 2 for closed, 3 for full.
    (func $send (param $at i32) (param $count i32) (result i32)
      (call $write (local.get $at) (local.get $count) (i32.const 0))
      (if (result i32) (i32.load8_u (i32.const 0))
        (then (i32.add (i32.load8_u (i32.const 4)) (i32.const 2)))
        (else (i32.eqz (i32.load8_u (i32.const 4))))))
    (func $say (param $at i32) (param $count i32)
      (drop (call $send (local.get $at) (local.get $count))))
    ;; Write, or print, a text and one digit after it.
    (func $digit (param $at i32) (param $count i32) (param $digit i32)
      (memory.copy (i32.const 512) (local.get $at) (local.get $count))
      (i32.store8
        (i32.add (i32.const 512) (local.get $count))
        (i32.add (i32.const 48) (local.get $digit))))
    (func $say-digit (param $at i32) (param $count i32) (param $digit i32)
      (call $digit (local.get $at) (local.get $count) (local.get $digit))
      (call $say (i32.const 512) (i32.add (local.get $count) (i32.const 1))))
    (func $print-digit (param $at i32) (param $count i32) (param $digit i32)
      (call $digit (local.get $at) (local.get $count) (local.get $digit))
      (call $print (i32.const 512) (i32.add (local.get $count) (i32.const 1))))
    ;; Burn CPU for ever.
    (func $spin (loop $again (br $again)))
    (func $recurse (param $deep i32) (result i32)
      (i32.add (i32.const 1) (call $recurse (i32.add (local.get $deep) (i32.const 1)))))
    (func $trap unreachable)

    ;; Results of `open` and `save`.
    (func $ok (result i32) (i32.store8 (i32.const 16) (i32.const 0)) (i32.const 16))
    (func $none (result i32) (call $ok))
    (func $some (param $at i32) (param $count i32) (result i32)
      (i32.store8 (i32.const 16) (i32.const 1))
      (i32.store (i32.const 20) (local.get $at))
      (i32.store (i32.const 24) (local.get $count))
      (i32.const 16))
    (func $refuse (param $at i32) (param $count i32) (result i32)
      (call $some (local.get $at) (local.get $count)))

    (func (export "done") (global.set $top (i32.const 65536)))
    (func (export "done-1") (param i32) (global.set $top (i32.const 65536)))
    (func $listening (export "listening") (param $at i32) (param $count i32)
      ;; body of listening
    )
    (func $open (export "open")
      (param $origin i32) (param $has i32) (param $at i32) (param $count i32) (param $ended i32)
      (result i32)
      ;; body of open
    )
    (func $data (export "data") (param $at i32) (param $count i32)
      ;; body of data
    )
    (func $drained (export "drained")
      ;; body of drained
    )
    (func $end-event (export "end")
      ;; body of end
    )
    (func $timer (export "timer") (param $id i32)
      ;; body of timer
    )
    (func $close (export "close") (param $reason i32) (param $at i32) (param $count i32)
      ;; body of close
    )
    (func $save (export "save") (result i32)
      ;; body of save
    ))
  (core instance $guest (instantiate $guest
    (with "heap" (instance $heap))
    (with "host" (instance
      (export "write" (func $write))
      (export "end" (func $finish))
      (export "abort" (func $abort))
      (export "hold-open" (func $hold-open))
      (export "set-timer" (func $set-timer))
      (export "print" (func $print))
      (export "panic" (func $panic))))))
  (alias core export $guest "done" (core func $done))
  (alias core export $guest "done-1" (core func $done-1))

  (type $bytes (list u8))
  (type $addresses (list $address))
  (type $opened (result (error string)))
  (type $snapshot (option $bytes))
  (func $listening (param "listeners" $addresses)
    (canon lift (core func $guest "listening") (memory $memory) (realloc $realloc) (post-return $done)))
  (func $open (param "origin" $origin) (result $opened)
    (canon lift (core func $guest "open") (memory $memory) (realloc $realloc) (post-return $done-1)))
  (func $data (param "bytes" $bytes)
    (canon lift (core func $guest "data") (memory $memory) (realloc $realloc) (post-return $done)))
  (func $drained (canon lift (core func $guest "drained")))
  (func $end (canon lift (core func $guest "end")))
  (func $timer (param "id" u32) (canon lift (core func $guest "timer")))
  (func $close (param "reason" $close-reason)
    (canon lift (core func $guest "close") (memory $memory) (realloc $realloc) (post-return $done)))
  (func $save (result $snapshot)
    (canon lift (core func $guest "save") (memory $memory) (realloc $realloc) (post-return $done-1)))
  (instance $handler
    (export "listening" (func $listening))
    (export "open" (func $open))
    (export "data" (func $data))
    (export "drained" (func $drained))
    (export "end" (func $end))
    (export "timer" (func $timer))
    (export "close" (func $close))
    (export "save" (func $save)))
  (export "hotsocket:socket/handler@0.1.0" (instance $handler)))

//! What can be wrong with a store, and which cases have to notice.

/// Declares the flaws, each with the cases that catch it.
macro_rules! flaws {
    ($($flaw:ident => [$($case:ident),+ $(,)?],)+) => {
        /// One thing that is wrong with a store; everything else is right.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Flaw {
            None,
            /// Shows only to threads that are truly parallel, so no one case catches it every time.
            ReplaceLocksTwice,
            $($flaw,)+
        }

        pub(crate) const CAUGHT_BY: &[(Flaw, &[&str])] = &[$((Flaw::$flaw, &[$(stringify!($case)),+]),)+];
    };
}

flaws! {
    // Writing.
    InsertOverwrites => [
        insert_at_a_live_record_is_already_exists_and_changes_nothing,
        racing_inserts_have_one_winner,
        racing_inserts_over_an_expired_record_have_one_winner,
    ],
    InsertMeetsExpired => [insert_takes_the_place_of_an_expired_record],
    InsertForgetsTheExpiry => [a_new_record_is_there_as_it_was_written],
    InsertChecksThenWrites => [
        racing_inserts_have_one_winner,
        racing_inserts_over_an_expired_record_have_one_winner,
        rename_racing_insert_has_one_winner,
    ],
    ReplaceIgnoresTheVersion => [
        replace_with_the_loaded_version_succeeds_once,
        replace_with_another_version_is_conflict_and_changes_nothing,
        a_version_does_not_fit_the_successor_of_its_record,
        racing_swaps_have_one_winner,
        racing_swaps_lose_no_increment,
    ],
    ReplaceChecksThenWrites => [
        racing_swaps_have_one_winner,
        racing_swaps_lose_no_increment,
        replace_racing_remove_does_not_revive,
        replace_racing_clear_does_not_revive,
        replace_racing_rename_does_not_revive,
    ],
    ReplaceInserts => [
        replace_of_nothing_is_not_found_and_leaves_nothing,
        late_replace_does_not_revive_a_removed_record,
        late_replace_does_not_revive_a_cleared_record,
        late_replace_does_not_revive_a_renamed_record,
        late_replace_does_not_revive_an_expired_record,
        clear_removes_every_record_of_a_key_and_counts_them,
        what_one_handle_ends_the_other_does_not_revive,
        a_rename_through_one_handle_ends_the_old_id_in_the_other,
    ],
    ReplaceRevivesExpired => [an_expired_record_is_never_returned, late_replace_does_not_revive_an_expired_record],
    ReplaceKeepsTheLaterExpiry => [
        replace_may_shorten_a_life_or_make_it_endless,
        a_replaced_record_ends_at_its_new_expiry,
    ],
    ReplaceKeepsTheVersion => [replace_changes_payload_and_expiry, a_write_of_other_content_changes_the_version],
    ReplaceInPlace => [a_long_payload_can_become_a_short_one],
    ReplaceInTwoSteps => [racing_replaces_are_whole, a_dropped_replace_is_whole_or_did_not_happen],
    VersionsStartAgain => [a_version_does_not_fit_the_successor_of_its_record],
    RemoveAlwaysTrue => [
        what_was_never_there_is_not_there,
        remove_tells_whether_a_live_record_was_there,
        racing_removes_have_one_winner,
        insert_racing_remove_is_there_or_removed,
        rename_racing_remove_has_one_winner,
    ],
    RemoveCountsExpired => [remove_tells_whether_a_live_record_was_there],
    RemoveChecksThenRemoves => [
        racing_removes_have_one_winner,
        rename_racing_remove_has_one_winner,
    ],

    // Time.
    LoadGivesExpired => [
        an_expired_record_is_never_returned,
        a_record_inserted_expired_is_never_returned,
        a_record_renamed_to_an_expired_one_is_gone,
        a_record_lives_until_its_expiry_and_no_longer,
    ],
    LivesAtItsExpiry => [a_record_lives_until_its_expiry_and_no_longer],
    LastTimeClamped => [an_expiry_in_the_far_future_is_kept],
    SecondsOnly => [a_new_record_is_there_as_it_was_written],
    OwnClock => [
        a_record_lives_until_its_expiry_and_no_longer,
        a_touched_record_outlives_its_first_expiry,
        a_renewed_record_outlives_its_first_expiry,
        a_replaced_record_ends_at_its_new_expiry,
        a_renamed_record_ends_at_its_new_expiry,
    ],
    FarFutureOverflows => [an_expiry_in_the_far_future_is_kept],
    TouchNever => [touch_prolongs_a_life, a_touched_record_outlives_its_first_expiry],
    TouchOfTheWholeKey => [records_do_not_touch_each_other],
    TouchShortens => [touch_never_shortens_a_life, racing_touches_keep_the_latest_expiry],
    TouchChangesTheVersion => [
        touch_changes_neither_version_nor_payload,
        touch_and_renewal_racing_replace_undo_no_write,
        touch_racing_rename_neither_hinders_nor_revives,
    ],
    TouchOfEndless => [touch_gives_no_expiry_to_an_endless_record],
    TouchRevivesExpired => [touch_of_an_expired_record_is_false, late_touch_does_not_revive_what_has_ended],
    TouchInserts => [
        late_touch_does_not_revive_what_has_ended,
        touch_racing_remove_does_not_revive,
        touch_racing_clear_does_not_revive,
        touch_racing_rename_neither_hinders_nor_revives,
    ],
    TouchWritesBack => [
        touch_racing_remove_does_not_revive,
        touch_racing_clear_does_not_revive,
        touch_and_renewal_racing_replace_undo_no_write,
        touch_racing_rename_neither_hinders_nor_revives,
        racing_touches_keep_the_latest_expiry,
    ],
    RenewalNever => [a_renewal_that_is_due_moves_the_expiry, remove_expired_keeps_what_was_prolonged],
    RenewalWhenNotDue => [a_renewal_that_is_not_due_changes_nothing],
    RenewalOfEndless => [a_renewal_gives_no_expiry_to_an_endless_record],
    RenewalChangesTheVersion => [a_renewal_changes_neither_version_nor_payload],
    RenewalRevivesExpired => [a_renewal_of_what_is_gone_is_none, late_renewal_does_not_revive_what_has_ended],
    TellsNoExpiry => [a_read_that_asks_for_the_expiry_is_told_it],
    TellsTheExpiryBeforeTheRenewal => [a_read_that_asks_for_the_expiry_is_told_it],
    RenewalWritesBack => [
        renewal_racing_remove_does_not_revive,
        renewal_racing_clear_does_not_revive,
        renewal_racing_rename_neither_hinders_nor_revives,
        touch_and_renewal_racing_replace_undo_no_write,
    ],

    // Renaming.
    RenameKeepsTheOldId => [
        rename_moves_a_record_and_ends_the_old_id,
        a_renamed_record_can_be_changed_and_renamed_again,
        an_old_id_is_free_after_a_rename,
        racing_renames_have_one_winner,
        a_rename_through_one_handle_ends_the_old_id_in_the_other,
    ],
    RenameIgnoresTheVersion => [rename_with_a_stale_version_is_conflict_and_changes_nothing],
    RenameOverwrites => [
        rename_onto_a_live_record_is_already_exists_and_changes_nothing,
        rename_onto_itself_is_already_exists_and_changes_nothing,
        renames_racing_for_one_id_have_one_winner,
    ],
    RenameEmptiesTheOldKey => [rename_leaves_other_records_alone],
    RenameOntoItself => [rename_onto_itself_is_already_exists_and_changes_nothing],
    RenameMeetsExpired => [rename_onto_an_expired_record_succeeds],
    RenameOfExpired => [rename_of_an_expired_record_is_not_found, late_rename_does_not_revive_what_has_ended],
    RenameInserts => [
        rename_of_nothing_is_not_found_and_leaves_nothing,
        late_rename_does_not_revive_what_has_ended,
        racing_renames_have_one_winner,
    ],
    RenameKeepsTheExpiry => [rename_sets_payload_and_expiry, a_renamed_record_ends_at_its_new_expiry],
    RenameKeepsThePayload => [rename_sets_payload_and_expiry],
    RenameLosesOnConflict => [rename_with_a_stale_version_is_conflict_and_changes_nothing],
    RenameRemovesFirst => [
        a_listing_never_misses_a_record_being_renamed,
        a_reader_finds_a_record_being_renamed,
        rename_racing_clear_leaves_nothing_behind,
        revoking_catches_a_record_being_renamed,
        a_dropped_rename_is_whole_or_did_not_happen,
    ],
    RenameInsertsFirst => [
        a_reader_finds_a_record_being_renamed,
        racing_renames_have_one_winner,
        rename_racing_remove_has_one_winner,
        replace_racing_rename_does_not_revive,
        rename_to_another_key_racing_clear_is_moved_or_cleared,
        a_dropped_rename_is_whole_or_did_not_happen,
    ],

    // Listing and clearing.
    ListGivesExpired => [list_leaves_out_what_has_expired, an_expired_record_is_never_returned],
    ListStopsAtAHundred => [list_gives_every_one_of_many_records],
    ListGivesTwice => [list_gives_exactly_the_live_records_of_a_key],
    ListByPrefix => [list_leaves_out_keys_that_look_alike],
    ListHidesReserved => [reserved_records_are_kept_and_listed_like_others],
    ListForgetsTheExpiry => [list_gives_payloads_and_expiries],
    ListGivesOtherVersions => [listed_versions_work_in_replace_and_rename],
    ClearByPrefix => [clear_leaves_keys_that_look_alike],
    ClearLeavesOne => [clear_removes_every_record_of_a_key_and_counts_them, a_cleared_key_can_be_used_again],
    ClearCountsReserved => [clear_takes_reserved_records_but_does_not_count_them],
    ClearLeavesReserved => [clear_takes_reserved_records_but_does_not_count_them],
    ClearCountsExpired => [clear_does_not_count_what_has_expired],
    ClearOneByOne => [
        a_clear_is_one_step_to_a_reader,
        a_dropped_remove_or_clear_is_whole_or_did_not_happen,
    ],
    ClearCountsFirst => [
        racing_clears_count_each_record_once,
        insert_racing_clear_is_there_or_counted,
        remove_racing_clear_meets_each_record_once,
    ],
    RemoveExpiredTakesLive => [
        remove_expired_keeps_live_records,
        remove_expired_takes_what_has_expired_and_nothing_else,
        remove_expired_racing_writes_takes_no_live_record,
        a_clock_that_jumps_back_ends_no_life,
    ],
    RemoveExpiredTakesEndless => [an_endless_record_never_ends, remove_expired_keeps_live_records],
    RemoveExpiredByFirstExpiry => [remove_expired_keeps_what_was_prolonged],
    RemoveExpiredDoesNothing => [remove_expired_takes_what_has_expired_and_nothing_else],

    // Scanning.
    ScanByOffset => [scan_goes_on_after_records_were_removed, scan_misses_no_record_while_others_come_and_go],
    ScanStopsAtTheFirstPage => [
        scan_gives_every_record_with_any_limit,
        scan_misses_no_record_while_others_are_renamed,
    ],
    ScanSkipsTheLastOfAPage => [scan_gives_every_record_with_any_limit, a_cursor_can_be_used_again],
    ScanGivesExpired => [scan_leaves_out_what_has_expired],
    ScanForgetsTheExpiry => [scan_gives_payloads_expiries_and_versions],
    CursorOfAnyKind => [a_foreign_cursor_is_invalid_input],
    CursorOnce => [a_cursor_can_be_used_again],

    // Payloads, keys and ids.
    PayloadTrimmed => [payloads_of_any_bytes_come_back, json_payloads_come_back_byte_for_byte],
    PayloadReserialized => [json_payloads_come_back_byte_for_byte],
    PayloadAsText => [payloads_of_any_bytes_come_back],
    PayloadUnwrapped => [payloads_that_look_like_a_stores_own_format_come_back],
    PayloadCutAt64KiB => [a_payload_of_a_megabyte_comes_back],
    KeysWithoutCase => [hostile_keys_are_kept_apart, list_leaves_out_keys_that_look_alike],
    KeysCutAtNul => [hostile_keys_are_kept_apart],
    IdsTrimmed => [hostile_ids_are_kept_apart],
    IdsCut => [the_longest_key_and_id_work],
    KeyAndIdJoined => [key_and_id_do_not_run_together],
    OneByteKeysRefused => [a_key_of_one_byte_works],

    // Dropping.
    DropLeavesTheLock => [a_dropped_call_leaves_nothing_locked],
    DropTearsAnInsert => [a_dropped_insert_is_whole_or_did_not_happen],
    DropTearsATouch => [a_dropped_touch_or_renewal_is_whole_or_did_not_happen],
    RepliesInTurn => [
        a_dropped_read_gives_its_reply_to_nobody_else,
        many_calls_dropped_at_once_leave_the_store_working,
    ],

    // Closing, handles, durability.
    CloseDoesNothing => [after_close_every_call_is_unavailable, close_during_writes_leaves_each_written_or_refused],
    CloseOnlyOnce => [close_may_be_called_again],
    ReadsAfterClose => [after_close_every_call_is_unavailable],
    HandlesRemember => [
        what_one_handle_writes_the_other_sees,
        a_version_loaded_through_one_handle_fits_in_the_other,
        what_one_handle_ends_the_other_does_not_revive,
    ],
    LosesAllWhenClosed => [
        what_was_written_is_there_after_reopening,
        a_write_acknowledged_during_close_is_there_after_reopening,
    ],
    FreshFromWhatItRemembers => [a_fresh_read_shows_what_another_handle_wrote],
    RevivesWhenReopened => [what_has_ended_is_gone_after_reopening],

    // What a store shows of itself.
    NoName => [a_store_has_a_name],
    DebugShowsKeys => [debug_of_a_store_shows_no_key_id_or_payload],
    ErrorsShowIds => [errors_show_no_key_id_or_payload],
    CausesShowPayloads => [errors_show_no_key_id_or_payload],

    // Failing in a way of its own.
    PanicsOnConflict => [racing_swaps_have_one_winner],
    RefusesWhenBusy => [writes_of_different_records_all_land],
}

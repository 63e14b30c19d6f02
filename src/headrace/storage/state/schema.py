"""The tables of a job's state file that are not a view's own.

FORMAT is the number of this layout. A file of another format is migrated by a numbered step
(migrations.py) or refused in words; see docs/decisions/0002-state-layout.md.
"""

from __future__ import annotations

FORMAT = 6

TABLES = """
create schema if not exists meta;
create schema if not exists state;
create table if not exists meta.facts (name varchar primary key, value varchar);
create table if not exists meta.epochs (
  generation bigint, first_epoch bigint, epoch bigint, kind varchar, epoch_time timestamp,
  records bigint, emitted boolean, fingerprint varchar,
  sources struct(
    topic varchar, before_us bigint, after_us bigint, raised boolean,
    start_offsets bigint[], end_offsets bigint[],
    greatest_before_us bigint[], greatest_after_us bigint[], exempt boolean[])[],
  tails struct(topic varchar, tail blob)[]);
create table if not exists meta.sources (
  topic varchar, identity varchar, number integer, since_epoch bigint);
create table if not exists meta.earlier (
  generation bigint, topic varchar, identity varchar, since_epoch bigint,
  "partition" integer, start_offset bigint, end_offset bigint);
create table if not exists meta.delivered (
  output varchar, generation bigint, topic varchar, identity varchar,
  "partition" integer, start_offset bigint, end_offset bigint);
create table if not exists meta.earlier_letters (
  generation bigint, topic varchar, identity varchar, "partition" integer, "offset" bigint);
create table if not exists meta.earlier_replays (
  generation bigint, topic varchar, identity varchar, "partition" integer, "offset" bigint,
  epoch bigint);
create table if not exists meta.delivered_upto (
  output varchar, generation bigint, topic varchar, epoch bigint);
create table if not exists meta.delivered_closed (
  output varchar, generation bigint, topic varchar, watermark_us bigint);
create table if not exists meta.earlier_tails (
  generation bigint, topic varchar, identity varchar, tail blob);
create table if not exists meta.counters (
  kind varchar, name varchar, counter varchar, value bigint, place integer);
create table if not exists meta.dead_letters (
  topic varchar, topic_generation varchar, "partition" integer, "offset" bigint,
  view varchar, field varchar, reason varchar, value blob, value_bytes bigint, value_digest varchar,
  arrival_time timestamp, epoch bigint, replayed bigint);
create table if not exists meta.refused_rows (
  destination varchar, "row" varchar, reason varchar, generation bigint, epoch bigint,
  noted_time timestamp);
create table if not exists meta.late (
  epoch bigint, view varchar, "partition" integer, "offset" bigint);
drop table if exists meta.verdicts;
create table if not exists meta.outbox (
  epoch bigint, output varchar, value blob);
create table if not exists meta.views (view varchar, fingerprint varchar, since_epoch bigint);
create table if not exists meta.replays (replay bigint, topic varchar, epoch bigint);
create table if not exists meta.regions (
  view varchar, number bigint, from_us bigint, bound_us bigint, epoch bigint,
  topic_generation varchar, "partition" integer, end_offset bigint);
create table if not exists meta.earlier_regions (
  generation bigint, view varchar, number bigint, from_us bigint, bound_us bigint, epoch bigint,
  topic_generation varchar, "partition" integer, end_offset bigint);
"""

VIEWS = """
create or replace view meta.watermarks as
  select first_epoch, epoch, s.topic, s.before_us, s.after_us
  from (select first_epoch, epoch, unnest(sources) as s from meta.epochs);
create or replace view meta.ranges as
  select first_epoch, epoch, topic, p as "partition", start_offsets[p + 1] as start_offset,
    end_offsets[p + 1] as end_offset, greatest_before_us[p + 1] as greatest_before_us,
    greatest_after_us[p + 1] as greatest_after_us, exempt[p + 1] as exempt
  from (select first_epoch, epoch, unnest(s), unnest(range(len(s.end_offsets)))::integer as p
    from (select first_epoch, epoch, unnest(sources) as s from meta.epochs));
create or replace view meta.reads as
  select r.*, s.identity, s.number from meta.ranges r
  asof join meta.sources s on r.topic = s.topic and r.epoch >= s.since_epoch;
create or replace view main.dead_letters as
  select topic, topic_generation, "partition", "offset", view, field, reason,
    value, value_bytes, value_digest, arrival_time, epoch, replayed from meta.dead_letters;
create or replace view main.refused_rows as select * from meta.refused_rows;
create or replace view main.epochs as
  select e.generation, e.first_epoch, e.epoch, e.kind, e.epoch_time, e.records, e.emitted,
    w.topic, make_timestamp(w.before_us) as watermark_before,
    make_timestamp(w.after_us) as watermark_after
  from meta.epochs e left join meta.watermarks w on w.epoch = e.epoch;
create or replace view main.conservation as
  with c as (select kind, name, counter, value from meta.counters
    where kind in ('source', 'view', 'view_rows', 'destination')),
  p as (select kind, name,
      coalesce(max(value) filter (where counter = 'read'), 0) as read,
      coalesce(max(value) filter (where counter = 'accepted'), 0) as accepted,
      coalesce(max(value) filter (where counter = 'dead_lettered'), 0) as dead_lettered,
      coalesce(max(value) filter (where counter = 'applied'), 0) as applied,
      coalesce(max(value) filter (where counter = 'filtered'), 0) as filtered,
      coalesce(max(value) filter (where counter = 'late'), 0) as late,
      coalesce(max(value) filter (where counter = 'duplicate'), 0) as duplicate,
      coalesce(max(value) filter (where counter = 'failed'), 0) as failed,
      coalesce(max(value) filter (where counter = 'sent'), 0) as sent,
      coalesce(max(value) filter (where counter = 'landed'), 0) as landed,
      coalesce(max(value) filter (where counter = 'refused'), 0) as refused
    from c group by kind, name)
  select kind, name, read, accepted, dead_lettered, applied, filtered, late, duplicate, failed,
    sent, landed, refused,
    case kind when 'source' then read = accepted + dead_lettered
      when 'destination' then sent = landed + refused
      else accepted = applied + filtered + late + duplicate + failed end as balanced
  from p order by case kind when 'source' then 0 when 'view' then 1 when 'view_rows' then 2
    else 3 end, name;
"""

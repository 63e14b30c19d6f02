"""Matches of a game with ten players each: what every champion achieves."""

import headrace as hr


class Participant(hr.Struct):
    championName: str
    teamPosition: str
    win: bool
    kills: int
    deaths: int
    assists: int
    totalDamageDealtToChampions: int
    goldEarned: int


class Metadata(hr.Struct):
    matchId: str


class Info(hr.Struct):
    gameCreation: int  # milliseconds since 1970
    gameDuration: int
    participants: list[Participant]


class Match(hr.Event):
    metadata: Metadata
    info: Info


app = hr.App("matches")

# The matches were collected player by player, so their times are up to 14 days out of order.
matches = app.source(
    Match,
    topic="matches",
    key="metadata.matchId",
    time="info.gameCreation",
    time_unit="ms",
    lateness="14 days",
)

players = (
    matches.where("info.gameDuration >= 300", reason="remake")
    .explode("info.participants", name="player")
    .select("player", minutes="info.gameDuration / 60.0")
)

champions = players.by(champion="player.championName").agg(
    games="count(*)",
    wins="count(*) filter (where player.win)",
    win_rate="round(100.0 * count(*) filter (where player.win) / count(*), 1)",
    kills="sum(player.kills)",
    deaths="sum(player.deaths)",
    assists="sum(player.assists)",
    gold="sum(player.goldEarned)",
    damage_per_minute="sum(player.totalDamageDealtToChampions) / sum(minutes)",
)
positions = (
    players.where("player.teamPosition <> 'Invalid'", reason="no position")
    .tumble("1 day")
    .by(position="player.teamPosition")
    .agg(games="count(*)", kills="sum(player.kills)", most_gold="max(player.goldEarned)")
)

app.table("champions", champions)
app.table("positions", positions)
app.lake("matches", matches)

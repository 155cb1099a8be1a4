// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Testing

/// The facts are those of k8s.io/apimachinery/pkg/labels.
struct LabelSelectorTests {
    private static let labels = ["app": "web", "tier": "a", "n": "7", "example.com/role": ""]

    @Test(
        arguments: [
            ("", true), ("app=web", true), ("app==web", true), ("app = web", true), ("app=db", false),
            ("app!=db", true),
            ("app!=web", false), ("missing!=x", true), ("app in (web,db)", true), ("app in (db)", false),
            ("app notin (db, web)", false), ("missing notin (x)", true), ("app", true), ("missing", false),
            ("!missing", true), ("!app", false), ("n>6", true), ("n>7", false), ("n<8", true), ("n<7", false),
            ("app>3", false), ("missing<3", false), ("app=web,tier=a", true), ("app=web,tier=b", false),
            ("example.com/role=", true), ("example.com/role", true), ("example.com/role in (,x)", true),
            ("tier in ( )", nil), ("in in (in)", false), ("notin", false), ("app=in", false),
            ("app,!missing,n>1", true),
        ] as [(String, Bool?)])
    func textFormSelects(_ text: String, _ expected: Bool?) throws {
        guard let expected else {
            #expect(throws: StatusError.self) { try LabelSelector(parsing: text) }
            return
        }
        let selector = try LabelSelector(parsing: text)
        #expect(selector.matches(Self.labels) == expected)
        #expect(selector.matches(JSON(Self.labels)) == expected)
        #expect(try LabelSelector(parsing: selector.description) == selector)
    }

    @Test(arguments: [
        ("app,", "found '', expected: identifier after ','"),
        ("=x", "found '=', expected: !, identifier, or 'end of string'"),
        ("app web", "unable to parse requirement: found 'web', expected: in, notin, =, ==, !=, gt, lt"),
        ("app in web", "unable to parse requirement: found 'web' expected: '('"),
        ("app in (web", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("app=web tier", "found 'tier', expected: ',' or 'end of string'"),
        (
            "n>x",
            "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer"
        ),
        (
            "app in ()",
            "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"
        ),
        (
            "a_=b",
            "unable to parse requirement: <nil>: Invalid value: \"a_\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        ),
        (
            "a=-",
            "unable to parse requirement: values[0][a]: Invalid value: \"-\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
        ),
    ])
    func refusalsAreWordedAsUpstream(_ text: String, _ message: String) {
        #expect {
            try LabelSelector(parsing: text)
        } throws: { error in
            let error = error as? StatusError
            return error?.code == 400 && error?.message == message
        }
    }

    @Test(arguments: [
        ("name", true), ("a/b", true), ("/b", false), ("a/", false), ("a/b/c", false), ("A/b", false), ("x.", false),
        (String(repeating: "x", count: 63), true), (String(repeating: "x", count: 64), false), ("", false),
        ("a..b/c", false), ("1.2/3", true), ("ü", false),
    ])
    func keysFollowTheirSyntax(_ key: String, _ isValid: Bool) {
        #expect(LabelSyntax.problems(inKey: key).isEmpty == isValid)
    }

    @Test(
        arguments: [
            (nil, false), (.null, false), ([:], true), (["matchLabels": ["app": "web"]], true),
            (["matchLabels": ["app": "db"]], false),
            (["matchExpressions": [["key": "app", "operator": "In", "values": ["web"]]]], true),
            (["matchExpressions": [["key": "app", "operator": "NotIn", "values": ["web"]]]], false),
            (["matchExpressions": [["key": "app", "operator": "Exists"]]], true),
            (
                ["matchLabels": ["app": "web"], "matchExpressions": [["key": "app", "operator": "DoesNotExist"]]], false
            ),
        ] as [(JSON?, Bool)])
    func objectFormSelects(_ json: JSON?, _ expected: Bool) throws {
        #expect(try LabelSelector(json: json).matches(Self.labels) == expected)
    }

    @Test func unknownOperatorIsRefused() {
        #expect(throws: StatusError.badRequest("\"Like\" is not a valid label selector operator")) {
            try LabelSelector(json: ["matchExpressions": [["key": "app", "operator": "Like"]]])
        }
    }

    @Test func everythingAndNothingDiffer() throws {
        #expect(LabelSelector.everything.isEverything)
        #expect(!LabelSelector.nothing.isEverything)
        #expect(!LabelSelector.nothing.matches([:] as [String: String]))
        #expect(LabelSelector(matchLabels: ["app": "web"]).matches(Self.labels))
    }

    @Test func randomTextNeverCrashes() {
        var random = SystemRandomNumberGenerator()
        let alphabet = ["a", "in", "notin", "=", "!", "(", ")", ",", ">", "<", " ", "é", "/", "-", "\\", "\0", "1"]
        for _ in 0..<5000 {
            let text = (0..<Int.random(in: 0...12, using: &random)).map { _ in
                alphabet.randomElement(using: &random) ?? ""
            }.joined()
            if let selector = try? LabelSelector(parsing: text) {
                #expect((try? LabelSelector(parsing: selector.description)) == selector, "\(text)")
            }
            _ = try? FieldSelector(parsing: text)
        }
    }
}
